"""What a task did with its time, as segments that follow each other without a gap.

A task keeps marks: the kind, the time and the reason of what began then. A segment lasts from a mark to the
next one. Marks are stored as JSON arrays, each with a comma behind it, because statements that change a task
can append to a text.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from tork_celery.domain.model import Task


class SegmentKind(StrEnum):
    """What a task does, or what it waits for."""

    CREATED = "created"  # a child of a composite waits to be started
    WAITING = "waiting"  # for a worker
    PULLING = "pulling"  # an image
    STARTING = "starting"  # a worker prepares its container
    RUNNING = "running"
    BETWEEN_STEPS = "between_steps"
    ENGINE_AWAY = "engine_away"  # its worker waits for the container engine
    RETRY = "retry"  # the next attempt waits for its time
    REPLACING = "replacing"  # its worker is lost, and nobody has noticed yet


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """The begin of a segment. `at` is in seconds since the epoch."""

    kind: SegmentKind
    at: float
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A part of a task's time, in seconds since the epoch."""

    kind: SegmentKind
    start: float
    end: float
    reason: str = ""


def with_mark(marks: str, mark: Mark) -> str:
    """Return stored marks with another one."""
    return marks + json.dumps([mark.kind, mark.at, mark.reason]) + ","


def of_attempts(attempts: Sequence[Task], *, now: float) -> list[Segment]:
    """Return the segments of a task, oldest first. `attempts` are its attempts in order.

    The segments of a task that has not ended last until `now`. Their sum is the time from the creation of the
    first attempt to the end of the last one, apart from the time between an attempt and a later run of the
    task that a user started.
    """
    segments: list[Segment] = []
    previous: Task | None = None
    for task in attempts:
        end = now if task.ended_at is None else task.ended_at
        segments += _segments(_marks(task, previous), end=end)
        previous = task
    return segments


def _marks(task: Task, previous: Task | None) -> Iterator[Mark]:
    if task.due_at is not None and previous is not None and previous.ended_at is not None:
        reason = f"attempt {previous.attempts + 1} failed"
        yield Mark(kind=SegmentKind.RETRY, at=previous.ended_at, reason=reason)
    else:
        yield Mark(kind=SegmentKind.CREATED, at=task.created_at)
    if task.scheduled_at is not None:
        kind = SegmentKind.RUNNING if task.definition.is_composite else SegmentKind.WAITING
        yield Mark(kind=kind, at=task.scheduled_at)
    # A heartbeat may store a mark later than the end of a step stores the next one.
    stored = sorted(json.loads(f"[{task.marks.removesuffix(',')}]"), key=lambda mark: float(mark[1]))
    for kind, at, reason in stored:
        yield Mark(kind=SegmentKind(kind), at=at, reason=reason)


def _segments(marks: Iterable[Mark], *, end: float) -> Iterator[Segment]:
    """Yield a segment for each change of kind or reason that took any time."""
    current: Mark | None = None
    for mark in marks:
        at = mark.at if current is None else min(max(mark.at, current.at), end)
        if current is not None and (mark.kind, mark.reason) == (current.kind, current.reason):
            continue
        if current is not None and at > current.at:
            yield Segment(kind=current.kind, start=current.at, end=at, reason=current.reason)
        current = Mark(kind=mark.kind, at=at, reason=mark.reason)
    if current is not None and end > current.at:
        yield Segment(kind=current.kind, start=current.at, end=end, reason=current.reason)
