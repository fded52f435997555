"""Functions on maps."""

from tork_celery.expr.errors import Fault
from tork_celery.expr.kinds import LIST, MAP
from tork_celery.expr.run import Run
from tork_celery.expr.signatures import function

_PAIR = 2


def keys(_: Run, pairs: dict[object, object]) -> list[object]:
    return list(pairs)


def values(_: Run, pairs: dict[object, object]) -> list[object]:
    return list(pairs.values())


def to_pairs(_: Run, pairs: dict[object, object]) -> list[object]:
    return [[key, value] for key, value in pairs.items()]


def from_pairs(_: Run, pairs: list[object]) -> dict[str, object]:
    made: dict[str, object] = {}
    for pair in pairs:
        if not isinstance(pair, list | tuple) or len(pair) != _PAIR:
            raise Fault("fromPairs takes lists of a key and a value")
        if not isinstance(pair[0], str):
            raise Fault("the key of a map must be a string")
        made[pair[0]] = pair[1]
    return made


FUNCTIONS = (
    function("keys", keys, LIST, "map"),
    function("values", values, LIST, "map"),
    function("toPairs", to_pairs, LIST, "map"),
    function("fromPairs", from_pairs, MAP, "array"),
)
