"""A function of the language: what it takes, what it gives, and how both are checked."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tork_celery.expr.errors import Fault
from tork_celery.expr.kinds import ANY, Result, Type, kind_of

_GROUPS = {"number": ("int", "float"), "any": ("any",)}
# Numbers out of JSON are floats, so an index may be one where only the value itself will tell.
_AT_LAST = {"index": ("int", "float")}
_AHEAD = {"index": ("int",)}


@dataclass(frozen=True, slots=True)
class Param:
    """Kinds that an argument may have, known ahead of time or found in the value."""

    name: str
    ahead: frozenset[str]
    at_last: frozenset[str]

    def allows(self, kind: Type) -> bool:
        return kind is ANY or kind.kind in self.ahead or "any" in self.ahead

    def admits(self, value: object) -> bool:
        return "any" in self.at_last or kind_of(value) in self.at_last


def param(name: str) -> Param:
    """`string`, `number`, `index`, or a choice such as `number|string`."""
    words = name.split("|")
    ahead = [kind for word in words for kind in _AHEAD.get(word) or _GROUPS.get(word) or (word,)]
    at_last = [kind for word in words for kind in _AT_LAST.get(word) or _GROUPS.get(word) or (word,)]
    return Param(name.replace("index", "int"), frozenset(ahead), frozenset(at_last))


@dataclass(frozen=True, slots=True)
class Function:
    """`repeats`: its argument may be given many times. `strict`: values are checked before a call.

    `instant`: a call takes no longer for larger values.
    """

    name: str
    call: Callable[..., object]
    gives: Result
    forms: tuple[tuple[Param, ...], ...]
    repeats: bool
    strict: bool
    instant: bool

    def form(self, count: int) -> tuple[Param, ...]:
        """The parameters for that many arguments; raises Fault when there is no such form."""
        if self.repeats and count:
            return self.forms[0] * count
        for form in self.forms:
            if len(form) == count:
                return form
        raise Fault(f"{self.name} does not take {count} argument{'s' if count != 1 else ''}")

    def result(self, types: list[Type]) -> Type:
        """What a call gives; raises Fault when it could never be."""
        for kind, wanted in zip(types, self.form(len(types)), strict=True):
            if not wanted.allows(kind):
                raise self._refusal(wanted, str(kind))
        return self.gives if isinstance(self.gives, Type) else self.gives(types)

    def check(self, args: Sequence[object], form: tuple[Param, ...]) -> None:
        """Raises Fault for values that the function does not take."""
        for value, wanted in zip(args, form, strict=True):
            if not wanted.admits(value):
                raise self._refusal(wanted, kind_of(value))

    def _refusal(self, wanted: Param, got: str) -> Fault:
        return Fault(f"{self.name} takes {wanted.name.replace('|', ' or ')} here, not {got}")


def function(
    name: str,
    call: Callable[..., object],
    gives: Result,
    *forms: str,
    repeats: bool = False,
    strict: bool = True,
    instant: bool = False,
) -> Function:
    """A function whose forms are written as `string index`, one for each number of arguments."""
    made = tuple(tuple(param(word) for word in form.split()) for form in forms)
    return Function(name, call, gives, made, repeats, strict, instant)
