"""Decode the bytes of a request or file to plain values, by media type."""

from typing import Any

from tork_celery.domain.errors import BodyTooLarge, Fault, InvalidInput
from tork_celery.jobfile import json_reader, yaml_reader
from tork_celery.jobfile.source import Source, describe, line_and_column, plain_values, quote

BODY_LIMIT_BYTES = 4 * 1024 * 1024
_READERS = {
    "application/json": json_reader.read,
    "text/yaml": yaml_reader.read,
    "application/x-yaml": yaml_reader.read,
}
MEDIA_TYPES = tuple(_READERS)


def media_type_of(file_name: str) -> str:
    """Return the media type of a file: JSON if its name ends in .json, otherwise YAML."""
    return "application/json" if file_name.endswith(".json") else "text/yaml"


def read_mapping(body: bytes, media_type: str) -> dict[str, Any]:
    """Return the mapping in `body`, with any keys. Raises `InvalidInput`, `BodyTooLarge`."""
    source = read(body, media_type)
    if not isinstance(source.value, dict):
        raise InvalidInput(source.fault((), f"expected a mapping, got {describe(source.value)}"))
    values: dict[str, Any] = plain_values(source.value)
    return values


def read(body: bytes, media_type: str, *, limit_bytes: int = BODY_LIMIT_BYTES) -> Source:
    """Return the document in `body`. Parameters of `media_type` are ignored; the charset is always UTF-8.

    Raises `InvalidInput`, or `BodyTooLarge` above `limit_bytes`.
    """
    check_media_type(media_type)
    reader = _READERS[_without_parameters(media_type)]
    if len(body) > limit_bytes:
        raise BodyTooLarge(f"the body is larger than the limit of {limit_bytes} bytes")
    text = _decode_utf8(body)
    if not text.strip():
        raise InvalidInput("the body is empty; expected a job or a task")
    return reader(text)


def check_media_type(media_type: str) -> None:
    """Raise InvalidInput unless job files may have this media type, with any parameters."""
    if _without_parameters(media_type) not in _READERS:
        got = quote(media_type) if media_type.strip() else "none"
        raise InvalidInput(f"the content type must be one of {', '.join(MEDIA_TYPES)}; got {got}")


def _without_parameters(media_type: str) -> str:
    return media_type.partition(";")[0].strip().lower()


def _decode_utf8(body: bytes) -> str:
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line, column = line_and_column(body[: error.start].decode("utf-8-sig", "replace"), len(body))
    raise InvalidInput(Fault("", "the body is not UTF-8 text", line, column))
