"""What is not to be shown: the values of secrets, wherever they stand, and what keys say is secret."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from tork_celery.domain.definition import JobDefinition, StepDefinition, TaskDefinition

REDACTED = "[REDACTED]"
SHORTEST = 3
"""A value of fewer characters is masked by its key alone: masking each `1` would leave nothing to read."""

_TELLING = ("SECRET", "PASSWORD", "TOKEN", "ACCESS_KEY", "AUTHORIZATION")
_OURS = frozenset({"id", "jobId", "parentId", "taskId", "nodeId", "state"})  # never a user's text
_LONG_LINE = 8  # a line of a longer secret (a private key) is one too

Mask = Callable[[str], str]


def secrets_of_job(definition: JobDefinition) -> set[str]:
    """The values of a job that are secret by their place or by their key."""
    return {*definition.secrets.values(), *definition.hidden, *_secret_values(definition.inputs)}


def secrets_of_task(definition: TaskDefinition) -> set[str]:
    """Those of a task as it runs."""
    found = set[str]()
    step: StepDefinition
    for step in (*definition.steps, *definition.sidecars):
        found.update(_secret_values(step.env))
        if step.registry is not None:
            found.add(step.registry.password)
    return found


def masking(secrets: Iterable[str]) -> Mask:
    """A function that masks these values in a text."""
    pattern = _pattern(secrets)
    if pattern is None:
        return str
    return lambda text: pattern.sub(REDACTED, text)


class StreamMask:
    """Masks values in a text that comes in pieces, wherever it was cut: what could be the beginning of one of
    them is held back until more is there. The same text gives the same, however it is cut."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._pattern = _pattern(secrets)
        self._values = _values(secrets)
        self._longest = max(map(len, self._values), default=0)
        self._held = ""

    def feed(self, text: str, *, final: bool = False) -> str:
        """What of the text so far is sure, and was not returned before."""
        if self._pattern is None:
            return text
        text = self._held + text
        masked, end = [], 0
        safe = len(text) if final else self._safe(text, 0)
        for found in self._pattern.finditer(text):
            if found.start() >= safe:
                break
            masked += [text[end : found.start()], REDACTED]
            end = found.end()
            safe = len(text) if final else max(safe, self._safe(text, end))
        self._held = text[max(safe, end) :]
        return "".join((*masked, text[end : max(safe, end)]))

    def _safe(self, text: str, start: int) -> int:
        """From where on the text may be the beginning of a value, not before `start`."""
        for place in range(max(start, len(text) - self._longest + 1), len(text)):
            if any(value.startswith(text[place:]) for value in self._values):
                return place
        return len(text)


def redacted(document: Any, mask: Mask) -> Any:
    """A document of the API, at any depth: with the values masked that keys say are secret, and all texts
    masked by `mask`."""
    if isinstance(document, list):
        return [redacted(item, mask) for item in document]
    if isinstance(document, str):
        return mask(document)
    if not isinstance(document, dict):
        return document
    return {
        key: value if key in _OURS and isinstance(value, str) else _of_key(key, value, mask)
        for key, value in document.items()
    }


def _inner(document: Any, mask: Mask) -> Any:
    """The same further inside, where each key may be a user's."""
    if isinstance(document, list):
        return [_inner(item, mask) for item in document]
    if isinstance(document, dict):
        return {key: _of_key(key, value, mask) for key, value in document.items()}
    return redacted(document, mask)


def _of_key(key: str, value: Any, mask: Mask) -> Any:
    if key == "secrets" and isinstance(value, dict):
        return dict.fromkeys(value, REDACTED)
    if key in ("env", "inputs", "headers") and isinstance(value, dict):
        return {name: REDACTED if _is_secret(name) else mask(text) for name, text in value.items()}
    if key == "registry" and isinstance(value, dict):
        return value | {"password": REDACTED}
    return _inner(value, mask)


def _is_secret(key: str) -> bool:
    return any(word in key.upper() for word in _TELLING)


def _secret_values(values: Mapping[str, str]) -> Iterator[str]:
    return (value for key, value in values.items() if _is_secret(key))


def _values(secrets: Iterable[str]) -> list[str]:
    """The longest first, so that none hides a longer one that begins alike."""
    lines = {line for secret in secrets for line in secret.splitlines() if len(line) >= _LONG_LINE}
    whole = {secret for secret in secrets if len(secret) >= SHORTEST}
    return sorted(lines | whole, key=len, reverse=True)


def _pattern(secrets: Iterable[str]) -> re.Pattern[str] | None:
    values = _values(secrets)
    return re.compile("|".join(map(re.escape, values))) if values else None
