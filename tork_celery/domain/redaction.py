"""Masking of secrets: values that are secret by their place or their key, wherever they occur."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from tork_celery.domain.definition import JobDefinition, StepDefinition, TaskDefinition

REDACTED = "[REDACTED]"
MIN_SECRET_CHARS = 3
"""A shorter value is masked only where its key says that it is secret, not wherever it occurs."""

_SECRET_WORDS = ("SECRET", "PASSWORD", "TOKEN", "ACCESS_KEY", "AUTHORIZATION")
_SYSTEM_KEYS = frozenset(
    {"id", "jobId", "parentId", "taskId", "nodeId", "state"}
)  # values are no user's text
_MIN_LINE_CHARS = 8  # such a line of a longer secret, for example a private key, is masked on its own

Mask = Callable[[str], str]


def secrets_of_job(definition: JobDefinition) -> set[str]:
    """Return the values of a job that are secret by their place or key."""
    return {*definition.secrets.values(), *definition.hidden, *_secret_values(definition.inputs)}


def secrets_of_task(definition: TaskDefinition) -> set[str]:
    """Return the values of a task that are secret by their place or key."""
    secrets = set[str]()
    step: StepDefinition
    for step in (*definition.steps, *definition.sidecars):
        secrets.update(_secret_values(step.env))
        if step.registry is not None:
            secrets.add(step.registry.password)
    return secrets


def masking(secrets: Iterable[str]) -> Mask:
    """Return a function that masks these values in a text."""
    pattern = _pattern(_masked_values(secrets))
    if pattern is None:
        return str
    return lambda text: pattern.sub(REDACTED, text)


class StreamMask:
    """Masks values in a text that arrives in pieces.

    The result does not depend on where the text is cut: an end that may be the beginning of a value is held
    back until the next piece.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        self._values = _masked_values(secrets)
        self._pattern = _pattern(self._values)
        self._longest = max(map(len, self._values), default=0)
        self._held_back = ""

    def feed(self, text: str, *, final: bool = False) -> str:
        """Add a piece and return the masked text up to the part that is held back."""
        if self._pattern is None:
            return text
        text = self._held_back + text
        masked, end = [], 0
        safe = len(text) if final else self._safe_end(text, 0)
        for match in self._pattern.finditer(text):
            if match.start() >= safe:
                break
            masked += [text[end : match.start()], REDACTED]
            end = match.end()
            safe = len(text) if final else max(safe, self._safe_end(text, end))
        self._held_back = text[max(safe, end) :]
        return "".join((*masked, text[end : max(safe, end)]))

    def _safe_end(self, text: str, start: int) -> int:
        """Return the first index from `start` on at which a value may begin that the text cuts off."""
        for index in range(max(start, len(text) - self._longest + 1), len(text)):
            if any(value.startswith(text[index:]) for value in self._values):
                return index
        return len(text)


def redacted(document: Any, mask: Mask) -> Any:
    """Return a document of the API with secret keys redacted and all other texts passed through `mask`."""
    if isinstance(document, list):
        return [redacted(item, mask) for item in document]
    if isinstance(document, str):
        return mask(document)
    if not isinstance(document, dict):
        return document
    return {
        key: value if key in _SYSTEM_KEYS and isinstance(value, str) else _redacted_value(key, value, mask)
        for key, value in document.items()
    }


def _redacted_nested(document: Any, mask: Mask) -> Any:
    """Redact a nested document, in which users choose keys: `id` may be one of theirs."""
    if isinstance(document, list):
        return [_redacted_nested(item, mask) for item in document]
    if isinstance(document, dict):
        return {key: _redacted_value(key, value, mask) for key, value in document.items()}
    return redacted(document, mask)


def _redacted_value(key: str, value: Any, mask: Mask) -> Any:
    if key == "secrets" and isinstance(value, dict):
        return dict.fromkeys(value, REDACTED)
    if key in ("env", "inputs", "headers") and isinstance(value, dict):
        return {name: REDACTED if _is_secret(name) else mask(text) for name, text in value.items()}
    if key == "registry" and isinstance(value, dict):
        return value | {"password": REDACTED}
    return _redacted_nested(value, mask)


def _is_secret(key: str) -> bool:
    return any(word in key.upper() for word in _SECRET_WORDS)


def _secret_values(values: Mapping[str, str]) -> Iterator[str]:
    return (value for key, value in values.items() if _is_secret(key))


def _masked_values(secrets: Iterable[str]) -> list[str]:
    """Return the texts to mask, the longest first: a shorter one may be the beginning of a longer one."""
    secrets = set(secrets)
    lines = {line for secret in secrets for line in secret.splitlines() if len(line) >= _MIN_LINE_CHARS}
    whole = {secret for secret in secrets if len(secret) >= MIN_SECRET_CHARS}
    return sorted(lines | whole, key=len, reverse=True)


def _pattern(values: list[str]) -> re.Pattern[str] | None:
    return re.compile("|".join(map(re.escape, values))) if values else None
