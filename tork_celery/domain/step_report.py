"""What a worker reports of a running step, beside its output and its outcome."""

from dataclasses import dataclass

from tork_celery.domain.segments import SegmentKind


@dataclass(frozen=True, slots=True, kw_only=True)
class RecentMark:
    """A mark of a task that began `ago_s` seconds ago, whatever the clock of the worker says."""

    kind: SegmentKind
    ago_s: float
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepReport:
    """New marks of a task, and a note on what its step does or waits for now; an empty one says nothing."""

    marks: tuple[RecentMark, ...]
    note: str = ""
