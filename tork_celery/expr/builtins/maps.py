"""Functions on maps."""

from tork_celery.expr.builtins.signatures import function
from tork_celery.expr.errors import LanguageError
from tork_celery.expr.evaluation import Frame
from tork_celery.expr.values.types import LIST, MAP

_PAIR_LENGTH = 2


def _keys(_: Frame, entries: dict[object, object]) -> list[object]:
    return list(entries)


def _values(_: Frame, entries: dict[object, object]) -> list[object]:
    return list(entries.values())


def _to_pairs(_: Frame, entries: dict[object, object]) -> list[object]:
    return [[key, value] for key, value in entries.items()]


def _from_pairs(_: Frame, pairs: list[object]) -> dict[str, object]:
    entries: dict[str, object] = {}
    for pair in pairs:
        if not isinstance(pair, list | tuple) or len(pair) != _PAIR_LENGTH:
            raise LanguageError("fromPairs takes lists of a key and a value")
        if not isinstance(pair[0], str):
            raise LanguageError("the key of a map must be a string")
        entries[pair[0]] = pair[1]
    return entries


FUNCTIONS = (
    function("keys", _keys, LIST, "map"),
    function("values", _values, LIST, "map"),
    function("toPairs", _to_pairs, LIST, "map"),
    function("fromPairs", _from_pairs, MAP, "array"),
)
