"""Collect faults while a document is validated, and flatten them to the list that the client gets.

Faults are nested as marshmallow nests its messages: a mapping by key or index at each level, and a list of
messages at the end of each path.
"""

from collections.abc import Iterator
from typing import Any, cast

from marshmallow import ValidationError

from tork_celery.domain.errors import MOST_FAULTS, Fault
from tork_celery.jobfile.source import Path, Source


class Faults:
    """The faults of one mapping or list. Stops validation as soon as the client's list would be full."""

    def __init__(self) -> None:
        self._messages: dict[str | int, Any] = {}
        self._count = 0

    def __bool__(self) -> bool:
        return bool(self._count)

    def add(self, path: Path, messages: Any) -> None:
        """Add messages, nested or not, at `path`. Raises `ValidationError` when there are MOST_FAULTS."""
        *outer, last = path
        inner = self._messages
        for step in outer:
            inner = inner.setdefault(step, {})
        inner[last] = messages
        self._count += _count(messages)
        if self._count >= MOST_FAULTS:
            self.raise_any()

    def raise_any(self) -> None:
        """Raise `ValidationError` if there are faults."""
        if self._messages:
            raise ValidationError(cast(Any, self._messages))


def flatten(messages: Any, source: Source) -> list[Fault]:
    """Return the faults with their positions, in the order of the file, at most MOST_FAULTS."""
    faults = [source.fault(path, message) for path, message in _walk(messages, ())]
    return sorted(faults, key=lambda fault: (fault.line or 0, fault.column or 0))[:MOST_FAULTS]


def _count(messages: Any) -> int:
    if isinstance(messages, dict):
        return sum(_count(inner) for inner in messages.values())
    return len(messages)


def _walk(messages: Any, path: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(messages, dict):
        for key, inner in messages.items():
            yield from _walk(inner, (*path, key))
    else:
        yield from ((path, message) for message in messages)
