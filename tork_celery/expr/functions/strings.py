"""Functions on strings."""

from tork_celery.expr.access import encoded, whole
from tork_celery.expr.errors import Fault
from tork_celery.expr.kinds import BOOL, INT, STRING, kind_of, list_of
from tork_celery.expr.run import Run
from tork_celery.expr.signatures import function

# What Go trims is what Unicode calls white space; Python would trim four control characters more.
_SPACE = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006"
    "\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
)


def trim(_: Run, text: str, chars: str = _SPACE) -> str:
    return text.strip(chars)


def trim_prefix(_: Run, text: str, prefix: str = " ") -> str:
    return text.removeprefix(prefix)


def trim_suffix(_: Run, text: str, suffix: str = " ") -> str:
    return text.removesuffix(suffix)


def upper(_: Run, text: str) -> str:
    """Character by character, as Go does: ß stays."""
    if text.isascii():
        return text.upper()
    return "".join(big if len(big := char.upper()) == 1 else char for char in text)


def lower(_: Run, text: str) -> str:
    if text.isascii():
        return text.lower()
    return "".join(small if len(small := char.lower()) == 1 else char for char in text)


def split(run: Run, text: str, separator: str, limit: object = -1) -> list[str]:
    """At most `limit` parts, the last with all the rest; all parts when it is negative."""
    count = whole(limit)
    if not count:
        return []
    run.spend(len(text) if not separator else text.count(separator))
    if separator:
        return text.split(separator, count - 1 if count > 0 else -1)
    chars = list(text)
    return chars if not 0 < count < len(chars) else [*chars[: count - 1], text[count - 1 :]]


def split_after(run: Run, text: str, separator: str, limit: object = -1) -> list[str]:
    parts = split(run, text, separator, limit)
    return [part + separator for part in parts[:-1]] + parts[-1:]


def replace(run: Run, text: str, old: str, new: str, limit: object = -1) -> str:
    """The first `limit` occurrences; all when it is negative."""
    found = text.count(old)
    count = whole(limit)
    changed = found if count < 0 else min(found, count)
    run.make_text(len(text) + changed * max(0, len(new) - len(old)))
    return text.replace(old, new, changed)


def repeat(run: Run, text: str, count: object) -> str:
    times = whole(count)
    if times < 0:
        raise Fault("repeat does not take a negative number")
    run.make_text(len(text) * times)
    run.spend(min(times, 1))
    return text * times


def join(run: Run, parts: list[object], glue: str = "") -> str:
    texts = [part for part in parts if isinstance(part, str)]
    if len(texts) != len(parts):
        other = next(kind_of(part) for part in parts if not isinstance(part, str))
        raise Fault(f"join takes strings, not {other}")
    run.make_text(sum(map(len, texts)) + len(glue) * max(0, len(texts) - 1))
    return glue.join(texts)


def index_of(_: Run, text: str, part: str) -> int:
    """Where the part starts, counted in UTF-8 bytes as Go counts; -1 without it."""
    return encoded(text).find(encoded(part))


def last_index_of(_: Run, text: str, part: str) -> int:
    return encoded(text).rfind(encoded(part))


def has_prefix(_: Run, text: str, prefix: str) -> bool:
    return text.startswith(prefix)


def has_suffix(_: Run, text: str, suffix: str) -> bool:
    return text.endswith(suffix)


_STRINGS = list_of(STRING)
FUNCTIONS = (
    function("trim", trim, STRING, "string", "string string"),
    function("trimPrefix", trim_prefix, STRING, "string", "string string"),
    function("trimSuffix", trim_suffix, STRING, "string", "string string"),
    function("upper", upper, STRING, "string"),
    function("lower", lower, STRING, "string"),
    function("split", split, _STRINGS, "string string", "string string index"),
    function("splitAfter", split_after, _STRINGS, "string string", "string string index"),
    function("replace", replace, STRING, "string string string", "string string string index"),
    function("repeat", repeat, STRING, "string index"),
    function("join", join, STRING, "array", "array string"),
    function("indexOf", index_of, INT, "string string"),
    function("lastIndexOf", last_index_of, INT, "string string"),
    function("hasPrefix", has_prefix, BOOL, "string string"),
    function("hasSuffix", has_suffix, BOOL, "string string"),
)
