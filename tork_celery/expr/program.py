"""An expression, read once and kept: its tree, what evaluates it, and the contexts it was checked for."""

from collections.abc import Mapping
from functools import lru_cache

from tork_celery.expr import limits
from tork_celery.expr.checking import Checker, names_of
from tork_celery.expr.compiler import Compiler
from tork_celery.expr.errors import ExpressionError, Fault
from tork_celery.expr.kinds import Type, type_of
from tork_celery.expr.parser import parse
from tork_celery.expr.run import Budget, HostFunctions, Run
from tork_celery.expr.sizes import measured

_KEPT_SHAPES = 64


class Program:
    """Promises that nothing but ExpressionError comes out of `check` and `evaluate`."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._tree = parse(source)
        self._names = names_of(self._tree)
        compiler = Compiler()
        # What can be said without a context is checked first: the compiler relies on it.
        self.check()
        self._run = compiler.compiled(self._tree)
        self._cells = compiler.cells
        self._accepted: set[tuple[Type | None, ...]] = set()

    def check(self, names: Mapping[str, Type | None] | None = None) -> None:
        """Raises ExpressionError for what can never be with names of these types, or of any when None."""
        try:
            Checker(names).known(self._tree)
        except Fault as fault:
            raise self._error(fault) from None
        except RecursionError:
            raise self._error(Fault("the expression is nested too deeply")) from None

    def evaluate(
        self, context: Mapping[str, object], host: HostFunctions, budget: Budget | None = None
    ) -> object:
        """The value that the expression has in the context."""
        types = tuple([type_of(context[name]) if name in context else None for name in self._names])
        if types not in self._accepted:
            self._accept(types)
        run = Run(context, self._cells, host, budget)
        try:
            return measured(run, self._run(run))
        except Fault as fault:
            raise self._error(fault) from None
        except RecursionError:
            raise self._error(Fault("the expression or a value is nested too deeply")) from None
        except (ArithmeticError, ValueError):
            raise self._error(Fault("a number is out of range")) from None
        finally:
            run.end()

    def _accept(self, types: tuple[Type | None, ...]) -> None:
        self.check(dict(zip(self._names, types, strict=True)))
        if len(self._accepted) >= _KEPT_SHAPES:
            self._accepted.clear()
        self._accepted.add(types)

    def _error(self, fault: Fault) -> ExpressionError:
        return ExpressionError(fault.reason, self._source, fault.at)


@lru_cache(maxsize=limits.CACHED_PROGRAMS)
def _cached(source: str) -> Program:
    return Program(source)


def program(source: str) -> Program:
    """The program of an expression, from the cache when it is of usual length; raises ExpressionError."""
    return _cached(source) if len(source) <= limits.CACHED_CHARS else Program(source)
