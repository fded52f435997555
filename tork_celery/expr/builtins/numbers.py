"""Functions on numbers, and conversions to numbers."""

import math
import re
from collections.abc import Callable, Iterable

from tork_celery.expr.builtins.lists import flatten
from tork_celery.expr.builtins.signatures import Function, function, same_as_first
from tork_celery.expr.errors import LanguageError
from tork_celery.expr.evaluation import Frame
from tork_celery.expr.operators.arithmetic import ARITHMETIC, integer_range, negate, require_bool
from tork_celery.expr.values import int64
from tork_celery.expr.values.datetimes import NamedNumber
from tork_celery.expr.values.durations import Duration
from tork_celery.expr.values.types import ANY, FLOAT, INT, Type, list_of, type_name

_INTEGER = re.compile(r"[+-]?[0-9]{1,32}")
_DECIMAL = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_INFINITY_OR_NAN = re.compile(r"[+-]?(?:inf|infinity|nan)", re.IGNORECASE)
_LONGEST_DECIMAL = 1_000
_BITS = 64


def _abs(_: Frame, number: float) -> object:
    return negate(number) if number < 0 else number


def _ceil(_: Frame, number: float) -> float:
    return _round_with(math.ceil, number)


def _floor(_: Frame, number: float) -> float:
    return _round_with(math.floor, number)


def _round(_: Frame, number: float) -> float:
    return _round_with(_half_away_from_zero, number)


def _half_away_from_zero(number: float) -> float:
    fraction, whole = math.modf(number)
    return whole + math.copysign(abs(fraction) >= 0.5, number)  # noqa: PLR2004 - a half


def _round_with(to_integer: Callable[[float], float], number: float) -> float:
    if not math.isfinite(number):
        return float(number)
    return math.copysign(float(to_integer(number)), number)


def _int(_: Frame, value: object) -> int:
    if isinstance(value, str):
        return _parse_int(value)
    if isinstance(value, Duration):
        return value.nanoseconds
    if isinstance(value, NamedNumber):
        return value.number
    return int64.from_float(value) if isinstance(value, float) else int(value)  # type: ignore[call-overload]


def _parse_int(text: str) -> int:
    if not _INTEGER.fullmatch(text):
        raise LanguageError("the text is not an integer")
    value = int(text)
    if not int64.MIN <= value <= int64.MAX:
        raise LanguageError("the text is too large for an integer")
    return value


def _float(_: Frame, value: object) -> float:
    if not isinstance(value, str):
        return float(value)  # type: ignore[arg-type]
    is_special = bool(_INFINITY_OR_NAN.fullmatch(value))
    if len(value) > _LONGEST_DECIMAL or not (is_special or _DECIMAL.fullmatch(value)):
        raise LanguageError("the text is not a number")
    number = float(value)
    if math.isinf(number) and not is_special:
        raise LanguageError("the text is too large for a float")
    return number


def _extremum(name: str, op: str) -> Callable[..., object]:
    is_better = ARITHMETIC[op]

    def find(frame: Frame, *args: object) -> object:
        if len(args) == 1 and type_name(args[0]) not in {"array", "int", "float"}:
            return args[0]
        best: object = None
        for number in _flat_numbers(frame, name, args):
            if best is None or require_bool(is_better(frame, number, best)):
                best = number
        return best

    return find


def _flat_numbers(frame: Frame, name: str, args: Iterable[object]) -> list[object]:
    numbers = flatten(frame, args)
    for value in numbers:
        if type_name(value) not in {"int", "float"}:
            raise LanguageError(f"{name} takes numbers, not {type_name(value)}")
    return numbers


def _flat_floats(frame: Frame, name: str, args: Iterable[object]) -> list[float]:
    return [float(value) for value in _flat_numbers(frame, name, args)]  # type: ignore[arg-type]


def _mean(frame: Frame, *args: object) -> float:
    values = _flat_floats(frame, "mean", args)
    return sum(values) / len(values) if values else 0.0


def _median(frame: Frame, *args: object) -> float:
    values = sorted(_flat_floats(frame, "median", args))
    if not values:
        return 0.0
    half, odd = divmod(len(values), 2)
    return values[half] if odd else (values[half - 1] + values[half]) / 2


def _bitwise(name: str, compute: Callable[[int, int], int]) -> Function:
    return function(name, lambda _, left, right: int64.wrap(compute(left, right)), INT, "int int")


def _shift(name: str, compute: Callable[[int, int], int]) -> Function:
    def shift(value: int, count: int) -> int:
        if count < 0:
            raise LanguageError(f"{name} does not take a negative number of bits")
        return compute(value, min(count, _BITS))

    return _bitwise(name, shift)


def _bitnot(_: Frame, number: int) -> int:
    return ~number


def _random_int(frame: Frame, limit: int = int64.MAX) -> int:
    if limit <= 0:
        raise LanguageError("randomInt takes a number above zero")
    return frame.host.randbelow(limit)


def _type_of_extremum(types: list[Type]) -> Type:
    return types[0] if len(set(types)) == 1 and types[0] in (INT, FLOAT) else ANY


FUNCTIONS = (
    function("abs", _abs, same_as_first, "number"),
    function("ceil", _ceil, FLOAT, "number"),
    function("floor", _floor, FLOAT, "number"),
    function("round", _round, FLOAT, "number"),
    function("int", _int, INT, "number|string|duration|named"),
    function("float", _float, FLOAT, "number|string"),
    function(
        "max", _extremum("max", ">"), _type_of_extremum, "number|array", variadic=True, checks_values=False
    ),
    function(
        "min", _extremum("min", "<"), _type_of_extremum, "number|array", variadic=True, checks_values=False
    ),
    function("mean", _mean, FLOAT, "number|array", variadic=True, checks_values=False),
    function("median", _median, FLOAT, "number|array", variadic=True, checks_values=False),
    _bitwise("bitand", lambda left, right: left & right),
    _bitwise("bitor", lambda left, right: left | right),
    _bitwise("bitxor", lambda left, right: left ^ right),
    _bitwise("bitnand", lambda left, right: left & ~right),
    _shift("bitshl", lambda value, count: value << count),
    _shift("bitshr", lambda value, count: value >> count),
    _shift("bitushr", lambda value, count: (value % 2**_BITS) >> count),
    function("bitnot", _bitnot, INT, "int"),
    function("randomInt", _random_int, INT, "", "int"),
    function("sequence", integer_range, list_of(INT), "int int"),
)
