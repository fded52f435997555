"""What is not to be shown."""

from collections.abc import Mapping
from typing import Any

REDACTED = "[REDACTED]"

_TELLING = ("SECRET", "PASSWORD", "TOKEN", "ACCESS_KEY")


def redact_values(values: Mapping[str, str]) -> dict[str, str]:
    """The same with the values masked whose key says that they are secret."""
    return {key: REDACTED if _is_secret(key) else value for key, value in values.items()}


def redact_document(document: Any) -> Any:
    """A document in which every `env` is redacted, at any depth."""
    if isinstance(document, list):
        return [redact_document(item) for item in document]
    if not isinstance(document, dict):
        return document
    return {
        key: redact_values(value) if key == "env" and isinstance(value, dict) else redact_document(value)
        for key, value in document.items()
    }


def _is_secret(key: str) -> bool:
    return any(word in key.upper() for word in _TELLING)
