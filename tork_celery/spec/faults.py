"""From marshmallow's nested messages to a list of faults."""

from collections.abc import Iterator
from typing import Any

from tork_celery.domain.errors import Fault
from tork_celery.spec.source import Path, Source

MOST_FAULTS = 20


def faults_in(messages: Any, source: Source) -> list[Fault]:
    """The faults, in the order of the file where their places are known."""
    faults = [source.fault(path, message) for path, message in _flat(messages, ())]
    return sorted(faults, key=lambda fault: (fault.line or 0, fault.column or 0))


def count(messages: Any) -> int:
    """How many messages there are in marshmallow's nested form."""
    if isinstance(messages, dict):
        return sum(count(inner) for inner in messages.values())
    return len(messages)


def _flat(messages: Any, path: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(messages, dict):
        for key, inner in messages.items():
            yield from _flat(inner, (*path, key))
    else:
        yield from ((path, message) for message in messages)
