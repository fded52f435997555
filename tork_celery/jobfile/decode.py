"""A request's body, or a file's contents, as plain values."""

from typing import Any

from tork_celery.domain.errors import BodyTooLarge, Fault, InvalidInput
from tork_celery.jobfile import json_reader, yaml_reader
from tork_celery.jobfile.source import Source, position
from tork_celery.jobfile.texts import described, shown

BODY_LIMIT_BYTES = 4 * 1024 * 1024
_READERS = {
    "application/json": json_reader.read,
    "text/yaml": yaml_reader.read,
    "application/x-yaml": yaml_reader.read,
}
MEDIA_TYPES = tuple(_READERS)


def media_type_of(file_name: str) -> str:
    """By its ending: what does not end in .json is YAML."""
    return "application/json" if file_name.endswith(".json") else "text/yaml"


def read_mapping(body: bytes, media_type: str) -> dict[str, Any]:
    """A mapping that `body` holds, of whatever keys. Raises `InvalidInput`, `BodyTooLarge`."""
    source = read(body, media_type)
    if not isinstance(source.value, dict):
        raise InvalidInput(source.fault((), f"expected a mapping, got {described(source.value)}"))
    return source.value


def read(body: bytes, media_type: str, *, limit_bytes: int = BODY_LIMIT_BYTES) -> Source:
    """What `body` holds. `media_type` may carry parameters; whatever charset they name, it is UTF-8.

    Raises `InvalidInput`, or `BodyTooLarge` for more than `limit_bytes`.
    """
    reader = _READERS.get(media_type.partition(";")[0].strip().lower())
    if reader is None:
        got = f"not {shown(media_type)}" if media_type.strip() else "there is none"
        raise InvalidInput(f"the content type must be one of {', '.join(MEDIA_TYPES)}; {got}")
    if len(body) > limit_bytes:
        raise BodyTooLarge(f"the body is larger than the limit of {limit_bytes} bytes")
    text = _decoded(body)
    if not text.strip():
        raise InvalidInput("the body is empty; expected a job or a task")
    return reader(text)


def _decoded(body: bytes) -> str:
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line, column = position(body[: error.start].decode("utf-8-sig", "replace"), len(body))
    raise InvalidInput(Fault("", "the body is not UTF-8 text", line, column))
