"""Bars of timelines: from when to when a job or a task waited, and ran."""

from collections.abc import Sequence
from dataclasses import dataclass

from tork_celery.domain.model import Job, Task

WIDTH = 1000
"""Width of a timeline in its own units."""
_NARROWEST = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A bar of a kind: `wait`, or the state of what ran. `x` and `width` are of WIDTH."""

    kind: str
    x: float
    width: float
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """Maps times to places in a timeline. Times are seconds since the epoch."""

    start: float
    end: float

    def bar(self, kind: str, begin: float, end: float, title: str = "") -> Bar:
        length = max(self.end - self.start, 0.001)
        x = min(max((begin - self.start) / length, 0.0), 1.0) * WIDTH
        width = max((min(end, self.end) - begin) / length * WIDTH, _NARROWEST)
        return Bar(kind=kind, x=round(min(x, WIDTH - _NARROWEST), 1), width=round(width, 1), title=title)


def of_job(job: Job, *, now: float) -> Scale:
    return Scale(start=job.created_at, end=max(job.ended_at or now, job.created_at + 0.001))


def task_bars(attempts: Sequence[Task], scale: Scale, *, now: float) -> list[Bar]:
    """Return the bars of all attempts at a task: each waits, then runs."""
    bars = []
    for number, task in enumerate(attempts, start=1):
        waited_from = task.scheduled_at or task.created_at
        began = task.started_at or task.ended_at or now
        name = f"attempt {number}" if len(attempts) > 1 else "ran"
        if not task.definition.is_composite and began - waited_from > 0:
            bars.append(scale.bar("wait", waited_from, began, "waited"))
        if task.started_at is not None:
            bars.append(scale.bar(task.state, task.started_at, task.ended_at or now, name))
    return bars


def job_bars(job: Job, *, longest_s: float, now: float) -> list[Bar]:
    """Return the bars of a job in a list, in which the longest one took `longest_s`."""
    scale = Scale(start=job.created_at, end=job.created_at + max(longest_s, 0.001))
    end = job.ended_at or now
    began = job.started_at or end
    bars = [scale.bar("wait", job.created_at, began, "waited")] if began > job.created_at else []
    if job.started_at is not None:
        bars.append(scale.bar(job.state, began, end, "ran"))
    return bars
