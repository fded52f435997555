"""Types of the language: those of values, and those that are known before evaluation."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone, tzinfo
from zoneinfo import ZoneInfo

from tork_celery.expr.values.datetimes import NamedNumber
from tork_celery.expr.values.durations import Duration
from tork_celery.expr.values.lazy_map import LazyMap


@dataclass(frozen=True, slots=True)
class Type:
    """A static type: a name and, for a list or a map, the type of its items if it is known.

    The type `any` is known only during evaluation.
    """

    name: str
    known_item: "Type | None" = None

    def __str__(self) -> str:
        if not self.known_item or self.known_item.name == "any":
            return self.name
        return f"{self.name} of {self.known_item}"

    @property
    def item(self) -> "Type":
        return self.known_item or ANY


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

ResultType = Type | Callable[[list[Type]], Type]
"""The type of a function's result, perhaps derived from the types of the arguments."""

_NAMES: dict[type, str] = {
    type(None): "nil",
    bool: "bool",
    int: "int",
    float: "float",
    str: "string",
    list: "array",
    tuple: "array",
    dict: "map",
    LazyMap: "map",
    datetime: "time",
    Duration: "duration",
    ZoneInfo: "zone",
    timezone: "zone",
    NamedNumber: "named",
}
_BASE_CLASSES: tuple[tuple[type, str], ...] = (
    (dict, "map"),
    (list, "array"),
    (tuple, "array"),
    (tzinfo, "zone"),
)
_TYPES = {known.name: known for known in (NIL, BOOL, INT, FLOAT, STRING, LIST, MAP, TIME, DURATION, ZONE)}


def type_name(value: object) -> str:
    """Return the name of a value's type; `object` for a Python object that the language does not know."""
    return _NAMES.get(type(value)) or _inherited_name(value)


def _inherited_name(value: object) -> str:
    return next((name for base, name in _BASE_CLASSES if issubclass(type(value), base)), "object")


def type_of(value: object) -> Type:
    """Return the static type of a context value. The items of a list or a map are not inspected."""
    return _TYPES.get(type_name(value), ANY)


def list_of(item: Type) -> Type:
    return LIST if item is ANY else Type("array", item)
