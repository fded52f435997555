"""Signatures of functions: overloads, result types, and the checks of both static types and values."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tork_celery.expr.errors import LanguageError
from tork_celery.expr.values.types import ANY, ResultType, Type, type_name

_GROUPS = {"number": ("int", "float"), "any": ("any",)}
# Numbers decoded from JSON are floats. A float is therefore an index if its type is not known statically.
_STATIC_TYPES = _GROUPS | {"index": ("int",)}
_VALUE_TYPES = _GROUPS | {"index": ("int", "float")}


@dataclass(frozen=True, slots=True)
class Parameter:
    """The types of an argument: those allowed by the type checker, and those allowed during evaluation."""

    description: str
    static_types: frozenset[str]
    value_types: frozenset[str]

    def accepts_type(self, static_type: Type) -> bool:
        return static_type is ANY or static_type.name in self.static_types or "any" in self.static_types

    def accepts_value(self, value: object) -> bool:
        return "any" in self.value_types or type_name(value) in self.value_types


def _parameter(text: str) -> Parameter:
    """Parse `string`, `number`, `index`, or alternatives such as `number|string`."""
    words = text.split("|")
    return Parameter(
        text.replace("index", "int"),
        frozenset(name for word in words for name in _STATIC_TYPES.get(word, (word,))),
        frozenset(name for word in words for name in _VALUE_TYPES.get(word, (word,))),
    )


@dataclass(frozen=True, slots=True)
class Function:
    """A built-in function or method. `call` takes the frame and the arguments.

    `variadic`: the only parameter may be repeated. `checks_values`: arguments are checked before each call;
    otherwise `call` checks them. `constant_cost`: a call takes one step, however large its arguments are.
    """

    name: str
    call: Callable[..., object]
    returns: ResultType
    overloads: tuple[tuple[Parameter, ...], ...]
    variadic: bool
    checks_values: bool
    constant_cost: bool

    def overload(self, count: int) -> tuple[Parameter, ...]:
        """Return the parameters for a number of arguments. Raises LanguageError if there is no overload."""
        if self.variadic and count:
            return self.overloads[0] * count
        for overload in self.overloads:
            if len(overload) == count:
                return overload
        raise LanguageError(f"{self.name} does not take {count} argument{'s' if count != 1 else ''}")

    def result_type(self, types: list[Type]) -> Type:
        """Return the type of a call. Raises LanguageError for arguments that are always rejected."""
        for static_type, parameter in zip(types, self.overload(len(types)), strict=True):
            if not parameter.accepts_type(static_type):
                raise self._type_error(parameter, str(static_type))
        return self.returns if isinstance(self.returns, Type) else self.returns(types)

    def check_values(self, args: Sequence[object], overload: tuple[Parameter, ...]) -> None:
        """Raise LanguageError for arguments of the wrong type."""
        for value, parameter in zip(args, overload, strict=True):
            if not parameter.accepts_value(value):
                raise self._type_error(parameter, type_name(value))

    def _type_error(self, parameter: Parameter, actual: str) -> LanguageError:
        expected = parameter.description.replace("|", " or ")
        return LanguageError(f"{self.name} takes {expected} here, not {actual}")


def function(
    name: str,
    call: Callable[..., object],
    returns: ResultType,
    *overloads: str,
    variadic: bool = False,
    checks_values: bool = True,
    constant_cost: bool = False,
) -> Function:
    """Define a function. An overload such as `string index` lists the types of its parameters."""
    parsed = tuple(tuple(_parameter(word) for word in overload.split()) for overload in overloads)
    return Function(name, call, returns, parsed, variadic, checks_values, constant_cost)


def same_as_first(types: list[Type]) -> Type:
    """Result type of a function that returns a value of the type of its first argument."""
    return types[0]
