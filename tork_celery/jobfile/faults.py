"""Faults on their way from where they are found to the list that the client gets.

In between they are nested as marshmallow nests its messages: mappings of keys and indexes, and at the end
of each path a list of texts.
"""

from collections.abc import Iterator
from typing import Any, cast

from marshmallow import ValidationError

from tork_celery.domain.errors import MOST_FAULTS, Fault
from tork_celery.jobfile.source import Path, Source


class Faults:
    """Those of one mapping or list. Raises as soon as there are as many as are ever told."""

    def __init__(self) -> None:
        self._messages: dict[str | int, Any] = {}
        self._count = 0

    def __bool__(self) -> bool:
        return bool(self._count)

    def add(self, path: Path, messages: Any) -> None:
        """`messages`, nested or not, are about `path`."""
        *outer, last = path
        inner = self._messages
        for step in outer:
            inner = inner.setdefault(step, {})
        inner[last] = messages
        self._count += _count(messages)
        if self._count >= MOST_FAULTS:
            self.raise_any()

    def raise_any(self) -> None:
        if self._messages:
            raise ValidationError(cast(Any, self._messages))


def faults_in(messages: Any, source: Source) -> list[Fault]:
    """At most MOST_FAULTS, in the order of the file."""
    faults = [source.fault(path, message) for path, message in _flat(messages, ())]
    return sorted(faults, key=lambda fault: (fault.line or 0, fault.column or 0))[:MOST_FAULTS]


def _count(messages: Any) -> int:
    if isinstance(messages, dict):
        return sum(_count(inner) for inner in messages.values())
    return len(messages)


def _flat(messages: Any, path: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(messages, dict):
        for key, inner in messages.items():
            yield from _flat(inner, (*path, key))
    else:
        yield from ((path, message) for message in messages)
