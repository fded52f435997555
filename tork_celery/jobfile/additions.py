"""Inputs and secrets that are added to a job file before it is submitted."""

import json
from collections.abc import Mapping
from typing import Any

from tork_celery.domain.errors import InvalidInput
from tork_celery.jobfile.decode import read
from tork_celery.jobfile.source import Scalar, describe


def with_values(
    body: bytes, media_type: str, *, inputs: Mapping[str, str], secrets: Mapping[str, str]
) -> tuple[bytes, str]:
    """Return the job file with further inputs and secrets, which replace those of the same key, as JSON, and
    its media type. Raises InvalidInput."""
    source = read(body, media_type)
    document = _plain(source.value)
    for key, added in (("inputs", inputs), ("secrets", secrets)):
        if added:
            present = document.get(key) or {}
            if not isinstance(present, dict):
                raise InvalidInput(source.fault((key,), f"expected a mapping, got {describe(present)}"))
            document[key] = present | dict(added)
    return json.dumps(document).encode(), "application/json"


def _plain(value: Any) -> Any:
    """Return a value for JSON. A scalar that JSON writes in another way, such as 012, becomes its text."""
    if isinstance(value, Scalar):
        return value.value if json.dumps(value.value) == value.text else value.text
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list) else value
