"""Kinds of values: what a value is, and what is known of it before it is there."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone, tzinfo
from zoneinfo import ZoneInfo

from tork_celery.expr.durations import Duration, Named


@dataclass(frozen=True, slots=True)
class Type:
    """What is known of a value ahead of time: its kind, and for a list or a map what it holds.

    The kind `any` means that only the value itself will tell.
    """

    kind: str
    holds: "Type | None" = None

    def __str__(self) -> str:
        return self.kind if not self.holds or self.holds.kind == "any" else f"{self.kind} of {self.holds}"

    @property
    def item(self) -> "Type":
        return self.holds or ANY


ANY = Type("any")
NIL = Type("nil")
BOOL = Type("bool")
INT = Type("int")
FLOAT = Type("float")
STRING = Type("string")
LIST = Type("array")
MAP = Type("map")
TIME = Type("time")
DURATION = Type("duration")
ZONE = Type("zone")
NAMED = Type("named")
FUNCTION = Type("function")

_KINDS: dict[type, str] = {
    type(None): "nil",
    bool: "bool",
    int: "int",
    float: "float",
    str: "string",
    list: "array",
    tuple: "array",
    dict: "map",
    datetime: "time",
    Duration: "duration",
    ZoneInfo: "zone",
    timezone: "zone",
    Named: "named",
}
_KIN: tuple[tuple[type, str], ...] = ((dict, "map"), (list, "array"), (tuple, "array"), (tzinfo, "zone"))
_TYPES = {known.kind: known for known in (NIL, BOOL, INT, FLOAT, STRING, LIST, MAP, TIME, DURATION, ZONE)}


def kind_of(value: object) -> str:
    """The kind of a value; `object` for one that the language knows nothing to do with."""
    return _KINDS.get(type(value)) or _kin(value)


def _kin(value: object) -> str:
    return next((kind for kin, kind in _KIN if issubclass(type(value), kin)), "object")


def type_of(value: object) -> Type:
    """What a name of the context is known to be; what a list or a map holds is not looked at."""
    return _TYPES.get(kind_of(value), ANY)


def list_of(item: Type) -> Type:
    return LIST if item is ANY else Type("array", item)


Result = Type | Callable[[list[Type]], Type]
