"""Functions on strings."""

from tork_celery.expr.builtins.signatures import function
from tork_celery.expr.errors import LanguageError
from tork_celery.expr.evaluation import Frame
from tork_celery.expr.operators.indexing import to_index
from tork_celery.expr.values import utf8
from tork_celery.expr.values.types import BOOL, INT, STRING, list_of, type_name

# White space of Unicode, as in Go. Python's str.strip would remove four control characters more.
_WHITE_SPACE = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006"
    "\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
)


def _trim(_: Frame, text: str, chars: str = _WHITE_SPACE) -> str:
    return text.strip(chars)


def _trim_prefix(_: Frame, text: str, prefix: str = " ") -> str:
    return text.removeprefix(prefix)


def _trim_suffix(_: Frame, text: str, suffix: str = " ") -> str:
    return text.removesuffix(suffix)


def _upper(frame: Frame, text: str) -> str:
    """Convert each character by itself, as Go does: ß has no single upper-case character and is kept."""
    if text.isascii():
        return text.upper()
    frame.spend(len(text) >> 3)
    return "".join(upper if len(upper := char.upper()) == 1 else char for char in text)


def _lower(frame: Frame, text: str) -> str:
    if text.isascii():
        return text.lower()
    frame.spend(len(text) >> 3)
    return "".join(lower if len(lower := char.lower()) == 1 else char for char in text)


def _split(frame: Frame, text: str, separator: str, limit: object = -1) -> list[str]:
    """Split into at most `limit` parts; the last part is the rest. A negative limit means no limit."""
    most = to_index(limit)
    if not most:
        return []
    frame.spend(len(text) if not separator else text.count(separator))
    if separator:
        return text.split(separator, most - 1 if most > 0 else -1)
    chars = list(text)
    return chars if not 0 < most < len(chars) else [*chars[: most - 1], text[most - 1 :]]


def _split_after(frame: Frame, text: str, separator: str, limit: object = -1) -> list[str]:
    parts = _split(frame, text, separator, limit)
    return [part + separator for part in parts[:-1]] + parts[-1:]


def _replace(frame: Frame, text: str, old: str, new: str, limit: object = -1) -> str:
    """Replace the first `limit` occurrences. A negative limit means no limit."""
    occurrences = text.count(old)
    most = to_index(limit)
    count = occurrences if most < 0 else min(occurrences, most)
    frame.reserve_text(len(text) + count * max(0, len(new) - len(old)))
    return text.replace(old, new, count)


def _repeat(frame: Frame, text: str, count: object) -> str:
    times = to_index(count)
    if times < 0:
        raise LanguageError("repeat does not take a negative number")
    frame.reserve_text(len(text) * times)
    frame.spend(min(times, 1))
    return text * times


def _join(frame: Frame, parts: list[object], separator: str = "") -> str:
    strings = [part for part in parts if isinstance(part, str)]
    if len(strings) != len(parts):
        other = next(type_name(part) for part in parts if not isinstance(part, str))
        raise LanguageError(f"join takes strings, not {other}")
    frame.reserve_text(sum(map(len, strings)) + len(separator) * max(0, len(strings) - 1))
    return separator.join(strings)


def _index_of(_: Frame, text: str, part: str) -> int:
    """Return the position of the first occurrence in UTF-8 bytes, or -1."""
    return utf8.encode(text).find(utf8.encode(part))


def _last_index_of(_: Frame, text: str, part: str) -> int:
    return utf8.encode(text).rfind(utf8.encode(part))


def _has_prefix(_: Frame, text: str, prefix: str) -> bool:
    return text.startswith(prefix)


def _has_suffix(_: Frame, text: str, suffix: str) -> bool:
    return text.endswith(suffix)


_STRINGS = list_of(STRING)
FUNCTIONS = (
    function("trim", _trim, STRING, "string", "string string"),
    function("trimPrefix", _trim_prefix, STRING, "string", "string string"),
    function("trimSuffix", _trim_suffix, STRING, "string", "string string"),
    function("upper", _upper, STRING, "string"),
    function("lower", _lower, STRING, "string"),
    function("split", _split, _STRINGS, "string string", "string string index"),
    function("splitAfter", _split_after, _STRINGS, "string string", "string string index"),
    function("replace", _replace, STRING, "string string string", "string string string index"),
    function("repeat", _repeat, STRING, "string index"),
    function("join", _join, STRING, "array", "array string"),
    function("indexOf", _index_of, INT, "string string"),
    function("lastIndexOf", _last_index_of, INT, "string string"),
    function("hasPrefix", _has_prefix, BOOL, "string string"),
    function("hasSuffix", _has_suffix, BOOL, "string string"),
)
