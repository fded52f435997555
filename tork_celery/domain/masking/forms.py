"""The forms in which a secret value may show in a text."""

import base64
import re
from collections.abc import Callable, Iterator
from json.encoder import encode_basestring, encode_basestring_ascii
from urllib.parse import quote

MIN_CHARS = 3
"""A shorter value is masked in its own place only."""
MIN_LINE_CHARS = 8
"""A line of at least this length is masked on its own, for example in a private key."""
MIN_ENCODED_CHARS = 6
"""A value of at least this length is masked in its encoded forms too."""

HEAD_CHARS = 8
"""Characters of the beginning of a form by which it is found."""

_WRAP_CHARS = 76  # of a line of base64, as `base64` and MIME write it
_PLAIN_IN_JSON = re.compile(r"[ !#-%'-;=?-\[\]-~]*")  # ASCII that every encoder leaves as it is
_ESCAPED_FOR_HTML = re.compile("[<>&\u2028\u2029]")  # in JSON that Go writes, and our toJSON
_RESERVED = re.compile(r"[^A-Za-z0-9_.~-]")  # in a URL
_URL_CODE = re.compile("%[0-9A-F]{2}")

FormsOf = Callable[[str], Iterator[str]]
"""A function that yields a text as it is and in its encoded forms."""


def forms(value: str) -> Iterator[str]:
    """Yield all texts to mask for a value. Some may be equal."""
    for text, forms_of in parts(value):
        yield from forms_of(text)


def parts(value: str) -> Iterator[tuple[str, FormsOf]]:
    """Yield the value, with and without white space around it, and its long lines."""
    for whole in {value, value.strip()}:
        if len(whole) >= MIN_CHARS:
            yield whole, _whole_forms
    for line in _long_lines(value):
        yield line, _line_forms


def heads(value: str) -> set[str]:
    """Return the beginnings of all forms of a value that have HEAD_CHARS characters."""
    found = set[str]()
    for whole in {value, value.strip()}:
        if len(whole) >= HEAD_CHARS:
            found |= heads_of(whole, _whole_forms)
    beginnings = {line[:HEAD_CHARS] for line in _long_lines(value)}
    found |= beginnings
    for beginning in beginnings:
        if not _PLAIN_IN_JSON.fullmatch(beginning):
            found |= heads_of(beginning, _line_forms)
    return found


def heads_of(text: str, forms_of: FormsOf) -> set[str]:
    """Return the beginnings of the forms of a text that has HEAD_CHARS characters."""
    return {form[:HEAD_CHARS] for form in forms_of(text[:HEAD_CHARS])}


def _whole_forms(value: str) -> Iterator[str]:
    yield value
    if len(value) >= MIN_ENCODED_CHARS:
        yield from _json_forms(value)
        if _RESERVED.search(value):
            yield from _url_forms(value)
        yield from _base64_forms(value.encode("utf-8", "surrogatepass"))


def _line_forms(line: str) -> Iterator[str]:
    yield line
    yield from _json_forms(line)


def _long_lines(value: str) -> set[str]:
    """Return the lines of a value that are masked on their own, without white space around them."""
    lines = value.splitlines()
    if len(lines) > value.count("\n") + 1:  # there are other line breaks
        lines += value.split("\n")
    return {
        stripped if len(stripped := line.strip()) >= MIN_LINE_CHARS else line
        for line in lines
        if len(line) >= MIN_LINE_CHARS and not line.isspace()
    }


def _json_forms(value: str) -> Iterator[str]:
    if _PLAIN_IN_JSON.fullmatch(value):
        return
    unicode = encode_basestring(value)[1:-1]
    yield unicode
    yield encode_basestring_ascii(value)[1:-1]
    if _ESCAPED_FOR_HTML.search(value):
        yield _ESCAPED_FOR_HTML.sub(lambda match: f"\\u{ord(match[0]):04x}", unicode)


def _url_forms(value: str) -> Iterator[str]:
    """Yield the value as the common encoders write it, which differ in what they leave as it is."""
    strict = quote(value, safe="", errors="surrogatepass")
    java_script = strict
    for code, character in (("%21", "!"), ("%27", "'"), ("%28", "("), ("%29", ")"), ("%2A", "*")):
        java_script = java_script.replace(code, character)
    for form in {strict, strict.replace("%2F", "/"), strict.replace("%20", "+"), java_script}:
        yield form
        yield _URL_CODE.sub(lambda match: match[0].lower(), form)


def _base64_forms(value: bytes) -> Iterator[str]:
    """Yield the characters that depend on the value alone, for each position modulo 3 at which it may begin.

    In a text that starts with the value, they may be wrapped to lines.
    """
    for offset in range(3):
        encoded = base64.b64encode(bytes(offset) + value).decode()
        bits_before, bits = 8 * offset, 8 * (offset + len(value))
        form = encoded[-(-bits_before // 6) : bits // 6]
        yield form
        if "+" in form or "/" in form:
            yield form.replace("+", "-").replace("/", "_")
        if not offset and len(form) > _WRAP_CHARS:
            lines = (form[start : start + _WRAP_CHARS] for start in range(0, len(form), _WRAP_CHARS))
            yield from (line for line in lines if len(line) >= MIN_LINE_CHARS)
