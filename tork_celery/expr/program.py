"""Programs: expressions that are parsed and compiled once, cached, and evaluated in many contexts."""

from collections.abc import Mapping
from functools import lru_cache

from tork_celery.expr import limits
from tork_celery.expr.compiler import Compiler
from tork_celery.expr.errors import ExpressionError, LanguageError
from tork_celery.expr.evaluation import Budget, Frame, HostFunctions, check_size
from tork_celery.expr.syntax.ast import referenced_names
from tork_celery.expr.syntax.parser import parse
from tork_celery.expr.type_checker import TypeChecker
from tork_celery.expr.values.types import Type, type_of

_MOST_ACCEPTED_CONTEXTS = 64
_STEPS_TO_COMPILE = 12  # one node


class Program:
    """A compiled expression. Its constructor and `evaluate` raise nothing but ExpressionError.

    The type checker runs once for the expression itself, and once for each combination of types of the names
    in a context.
    """

    def __init__(self, source: str) -> None:
        self._source = source
        self._tree = parse(source)
        self._names = referenced_names(self._tree)
        self._check_types(None)
        self.names = frozenset(self._names)
        compiler = Compiler()
        self._evaluate = compiler.compile(self._tree)
        self._slot_count = compiler.slot_count
        self._steps_to_compile = self._tree.size * _STEPS_TO_COMPILE  # until an evaluation has counted them
        self._accepted_types: set[tuple[Type | None, ...]] = set()

    def evaluate(
        self, context: Mapping[str, object], host: HostFunctions, budget: Budget | None = None
    ) -> object:
        """Return the value of the expression in a context. The first call counts the compilation, too."""
        types = tuple([type_of(context[name]) if name in context else None for name in self._names])
        if types not in self._accepted_types:
            self._accept(types)
        frame = Frame(context, self._slot_count, host, budget)
        try:
            frame.spend(self._tree.size + self._steps_to_compile)
            self._steps_to_compile = 0
            value = self._evaluate(frame)
            check_size(frame, value)
        except LanguageError as error:
            raise self._public_error(error) from None
        except RecursionError:
            raise self._error("the expression or a value is nested too deeply") from None
        except (ArithmeticError, ValueError):
            raise self._error("a number is out of range") from None
        else:
            return value
        finally:
            frame.close()

    def _accept(self, types: tuple[Type | None, ...]) -> None:
        self._check_types(dict(zip(self._names, types, strict=True)))
        if len(self._accepted_types) >= _MOST_ACCEPTED_CONTEXTS:
            self._accepted_types.clear()
        self._accepted_types.add(types)

    def _check_types(self, names: Mapping[str, Type | None] | None) -> None:
        try:
            TypeChecker(names).check(self._tree)
        except LanguageError as error:
            raise self._public_error(error) from None
        except RecursionError:
            raise self._error("the expression is nested too deeply") from None

    def _public_error(self, error: LanguageError) -> ExpressionError:
        return ExpressionError(error.reason, self._source, error.offset)

    def _error(self, reason: str) -> ExpressionError:
        return ExpressionError(reason, self._source)


@lru_cache(maxsize=limits.CACHED_PROGRAMS)
def _load_cached(source: str) -> Program:
    return Program(source)


def load_program(source: str) -> Program:
    """Compile an expression or return it from the cache. Raises ExpressionError."""
    return _load_cached(source) if len(source) <= limits.CACHED_CHARS else Program(source)
