"""Functions on numbers, and to numbers."""

import math
import re
from collections.abc import Callable, Iterable

from tork_celery.expr import limits
from tork_celery.expr.durations import Duration, Named, wrapped
from tork_celery.expr.errors import Fault
from tork_celery.expr.functions.lists import flatten
from tork_celery.expr.kinds import ANY, FLOAT, INT, Type, kind_of, list_of
from tork_celery.expr.operators import OPERATORS, negated, truth
from tork_celery.expr.run import Run
from tork_celery.expr.signatures import Function, function

_INTEGER = re.compile(r"[+-]?[0-9]{1,32}")
_DECIMAL = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_SPECIAL = re.compile(r"[+-]?(?:inf|infinity|nan)", re.IGNORECASE)
_LONGEST_DECIMAL = 1_000
_BITS = 64


def absolute(_: Run, number: float) -> object:
    return negated(number) if number < 0 else number


def ceil(_: Run, number: float) -> float:
    return _rounded(number, math.ceil)


def floor(_: Run, number: float) -> float:
    return _rounded(number, math.floor)


def nearest(_: Run, number: float) -> float:
    """The nearest whole number; a half goes away from zero."""
    return _rounded(number, _half_away)


def _half_away(number: float) -> float:
    fraction, whole = math.modf(number)
    return whole + math.copysign(abs(fraction) >= 0.5, number)  # noqa: PLR2004 - a half


def _rounded(number: float, way: Callable[[float], float]) -> float:
    if not math.isfinite(number):
        return float(number)
    return math.copysign(float(way(number)), number)


def to_int(_: Run, value: object) -> int:
    if isinstance(value, str):
        return _read_int(value)
    if isinstance(value, Duration):
        return value.nanoseconds
    if isinstance(value, Named):
        return value.number
    return _whole(value) if isinstance(value, float) else int(value)  # type: ignore[call-overload]


def _whole(value: float) -> int:
    whole = math.trunc(value) if math.isfinite(value) else limits.INT_MIN
    # What does not fit in 64 bits is the smallest integer, as on the machines that Go runs on.
    return whole if limits.INT_MIN <= whole <= limits.INT_MAX else limits.INT_MIN


def _read_int(text: str) -> int:
    if not _INTEGER.fullmatch(text):
        raise Fault("the text is not an integer")
    value = int(text)
    if not limits.INT_MIN <= value <= limits.INT_MAX:
        raise Fault("the text is too large for an integer")
    return value


def to_float(_: Run, value: object) -> float:
    if not isinstance(value, str):
        return float(value)  # type: ignore[arg-type]
    if len(value) > _LONGEST_DECIMAL or not (_DECIMAL.fullmatch(value) or _SPECIAL.fullmatch(value)):
        raise Fault("the text is not a number")
    number = float(value)
    if math.isinf(number) and not _SPECIAL.fullmatch(value):
        raise Fault("the text is too large for a float")
    return number


def _extreme(name: str, better: str) -> Callable[..., object]:
    compare = OPERATORS[better]

    def find(run: Run, *args: object) -> object:
        if len(args) == 1 and kind_of(args[0]) not in {"array", "int", "float"}:
            return args[0]
        best: object = None
        for number in _numbers(run, name, args):
            if best is None or truth(compare(run, number, best)):
                best = number
        return best

    return find


def _numbers(run: Run, name: str, args: Iterable[object]) -> list[object]:
    numbers = flatten(run, args)
    for value in numbers:
        if kind_of(value) not in {"int", "float"}:
            raise Fault(f"{name} takes numbers, not {kind_of(value)}")
    return numbers


def mean(run: Run, *args: object) -> float:
    values = _floats(run, "mean", args)
    return sum(values) / len(values) if values else 0.0


def median(run: Run, *args: object) -> float:
    values = sorted(_floats(run, "median", args))
    if not values:
        return 0.0
    half, odd = divmod(len(values), 2)
    return values[half] if odd else (values[half - 1] + values[half]) / 2


def _floats(run: Run, name: str, args: Iterable[object]) -> list[float]:
    return [float(value) for value in _numbers(run, name, args)]  # type: ignore[arg-type]


def _bits(name: str, compute: Callable[[int, int], int]) -> Function:
    return function(name, lambda _, left, right: wrapped(compute(left, right)), INT, "int int")


def _shift(name: str, compute: Callable[[int, int], int]) -> Function:
    def shifted(value: int, by: int) -> int:
        if by < 0:
            raise Fault(f"{name} does not take a negative number of bits")
        return compute(value, min(by, _BITS))

    return _bits(name, shifted)


def bitnot(_: Run, number: int) -> int:
    return ~number


def random_int(run: Run, below: int = limits.INT_MAX) -> int:
    """An integer from zero up to, but without, `below`."""
    if below <= 0:
        raise Fault("randomInt takes a number above zero")
    return run.host.randbelow(below)


def integers(run: Run, start: int, stop: int) -> list[int]:
    """The integers from `start` up to, but without, `stop`."""
    run.spend(max(0, stop - start))
    return list(range(start, stop))


def _same(types: list[Type]) -> Type:
    return types[0]


def _extreme_type(types: list[Type]) -> Type:
    return types[0] if len(set(types)) == 1 and types[0] in (INT, FLOAT) else ANY


FUNCTIONS = (
    function("abs", absolute, _same, "number"),
    function("ceil", ceil, FLOAT, "number"),
    function("floor", floor, FLOAT, "number"),
    function("round", nearest, FLOAT, "number"),
    function("int", to_int, INT, "number|string|duration|named"),
    function("float", to_float, FLOAT, "number|string"),
    function("max", _extreme("max", ">"), _extreme_type, "number|array", repeats=True, strict=False),
    function("min", _extreme("min", "<"), _extreme_type, "number|array", repeats=True, strict=False),
    function("mean", mean, FLOAT, "number|array", repeats=True, strict=False),
    function("median", median, FLOAT, "number|array", repeats=True, strict=False),
    _bits("bitand", lambda left, right: left & right),
    _bits("bitor", lambda left, right: left | right),
    _bits("bitxor", lambda left, right: left ^ right),
    _bits("bitnand", lambda left, right: left & ~right),
    _shift("bitshl", lambda value, by: value << by),
    _shift("bitshr", lambda value, by: value >> by),
    _shift("bitushr", lambda value, by: (value % 2**_BITS) >> by),
    function("bitnot", bitnot, INT, "int"),
    function("randomInt", random_int, INT, "", "int"),
    function("sequence", integers, list_of(INT), "int int"),
)
