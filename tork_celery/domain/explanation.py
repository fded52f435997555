"""Why a task waits, or what it does: the first cause that fits what is known of it.

A cause is a function of the facts. A new kind of wait is a new function in `CAUSES`, before those that would
also fit.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tork_celery.domain import segments
from tork_celery.domain.model import Job, Task
from tork_celery.domain.node import Node
from tork_celery.domain.segments import Segment, SegmentKind
from tork_celery.domain.states import JobState, TaskState


@dataclass(frozen=True, slots=True, kw_only=True)
class TasksBefore:
    """The tasks of a queue that are taken before another one."""

    higher_priority: int
    older: int

    @property
    def number(self) -> int:
        return self.higher_priority + self.older


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of a task at the time `now`.

    - `attempts`: its attempts in order, the task itself last.
    - `nodes`: the nodes with a recent heartbeat, live or not.
    - `busy`: numbers of tasks that nodes have claimed, by node.
    - `before`: for a task that waits for a worker.
    - `broker_error`: why the broker does not answer, if so.
    - `lease_s`: seconds after which a worker without heartbeats is taken for lost.
    """

    now: float
    task: Task
    attempts: Sequence[Task]
    job_state: JobState
    nodes: Sequence[Node]
    busy: Mapping[str, int]
    lease_s: float
    parent: Task | None = None
    subjob: Job | None = None
    before: TasksBefore | None = None
    broker_error: str | None = None

    @property
    def live_workers(self) -> list[Node]:
        """The live nodes that serve queues."""
        return [node for node in self.nodes if node.queues and node.is_live(self.now, self.lease_s)]

    @property
    def segments(self) -> list[Segment]:
        return segments.of_attempts(self.attempts, now=self.now)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """What keeps a task. `details` are for programs: times are in seconds, and their keys end with `At`."""

    name: str
    reason: str
    details: Mapping[str, Any] = field(default_factory=dict)


def cause_of(facts: Facts) -> Cause:
    """Return the first cause that fits."""
    return next(cause for find in CAUSES if (cause := find(facts)) is not None)


def since(facts: Facts) -> float:
    """Return when the present segment began; for a task that has ended, when it did."""
    task = facts.task
    if task.ended_at is not None:
        return task.ended_at
    return facts.segments[-1].start if facts.segments else task.created_at


def _ended(facts: Facts) -> Cause | None:
    if facts.task.state.active:
        return None
    return Cause(name="ended", reason=f"the task has ended: it is {facts.task.state}")


def _job_not_running(facts: Facts) -> Cause | None:
    details = {"jobState": facts.job_state}
    if facts.job_state is JobState.PENDING:
        return Cause(name="job_pending", reason="its job is PENDING and has not started", details=details)
    if facts.job_state.ended:
        reason = f"its job has ended ({facts.job_state}), so the task ends soon too"
        return Cause(name="job_ended", reason=reason, details=details)
    return None


def _created(facts: Facts) -> Cause | None:
    parent = facts.parent
    if facts.task.state is not TaskState.CREATED:
        return None
    if parent is None or not parent.concurrency:
        return Cause(name=SegmentKind.CREATED, reason="it has not been started yet")
    running = parent.started_children - parent.completions
    details = {
        "composite": parent.id,
        "concurrency": parent.concurrency,
        "running": running,
        "before": facts.task.index - parent.started_children,
    }
    reason = (
        f"it waits for a slot of its `each`: {running} of at most {parent.concurrency} run, and "
        f"{_tasks_are(facts.task.index - parent.started_children)} before it"
    )
    return Cause(name="each_slot", reason=reason, details=details)


def _retry(facts: Facts) -> Cause | None:
    task = facts.task
    if task.state is not TaskState.PENDING:
        return None
    reason = f"attempt {task.attempts} failed; the next one waits for its time"
    return Cause(name="retry", reason=reason, details={"attempt": task.attempts + 1, "retryAt": task.due_at})


def _broker_away(facts: Facts) -> Cause | None:
    if facts.task.state is not TaskState.SCHEDULED or facts.broker_error is None:
        return None
    reason = f"the broker is away, so no worker hears of the task: {facts.broker_error}"
    return Cause(name="broker_away", reason=reason)


def _no_worker(facts: Facts) -> Cause | None:
    queue = facts.task.queue
    if facts.task.state is not TaskState.SCHEDULED or _serving(facts):
        return None
    served = sorted({name for node in facts.live_workers for name in node.queues})
    others = f"served are: {', '.join(served)}" if served else "no worker is live at all"
    reason = f"no live worker serves its queue `{queue}`; {others}"
    return Cause(name="no_worker", reason=reason, details={"queue": queue, "servedQueues": served})


def _queue(facts: Facts) -> Cause | None:
    before, workers = facts.before, _serving(facts)
    if facts.task.state is not TaskState.SCHEDULED or before is None:
        return None
    slots = sum(node.slots for node in workers)
    busy = sum(facts.busy.get(node.name, 0) for node in workers)
    details = {
        "queue": facts.task.queue,
        "before": before.number,
        "higherPriority": before.higher_priority,
        "older": before.older,
        "slots": slots,
        "busy": busy,
    }
    load = f"{busy} of the {slots} slots of its workers are busy"
    if not before.number:
        reason = f"it is the next task of its queue `{facts.task.queue}`; {load}"
        return Cause(name="next", reason=reason, details=details)
    reason = (
        f"{_tasks_are(before.number)} before it in its queue `{facts.task.queue}` "
        f"({before.higher_priority} of a higher priority, {before.older} older); {load}"
    )
    return Cause(name="tasks_before", reason=reason, details=details)


def _composite(facts: Facts) -> Cause | None:
    task, subjob = facts.task, facts.subjob
    if task.definition.subjob:
        details = {"job": subjob.id, "jobState": subjob.state} if subjob else {}
        state = f", which is {subjob.state}" if subjob else ""
        return Cause(name="subjob", reason=f"it waits for its subjob{state}", details=details)
    if not task.definition.is_composite:
        return None
    reason = f"its children run: {task.completions} of {task.size} are done"
    return Cause(name="children", reason=reason, details={"size": task.size, "done": task.completions})


def _advancing(facts: Facts) -> Cause | None:
    if facts.task.outcome is None:
        return None
    reason = f"its steps have ended ({facts.task.outcome}); a coordinator is about to advance its job"
    return Cause(name="advancing", reason=reason, details={"outcome": facts.task.outcome})


def _replacing(facts: Facts) -> Cause | None:
    task = facts.task
    node = next((node for node in facts.nodes if node.name == task.node), None)
    stopped = node is not None and node.stopped_at is not None
    renewed = task.lease_until is None or task.lease_until - facts.now > facts.lease_s / 2
    if renewed and not stopped:
        return None
    details = {"node": task.node, "replacedAt": task.lease_until}
    happened = "has stopped" if stopped else "has not been heard of lately"
    reason = f"its worker {task.node} {happened}; another one takes the task unless that is back in time"
    if node is not None:
        details["heardOfAt"] = node.heartbeat_at
    return Cause(name="replacing", reason=reason, details=details)


def _step(facts: Facts) -> Cause:
    task = facts.task
    kind = facts.segments[-1].kind if facts.segments else SegmentKind.STARTING
    details: dict[str, Any] = {"node": task.node, "step": task.step}
    if kind is SegmentKind.ENGINE_AWAY:
        return Cause(name=kind, reason=f"its worker {task.node} waits: {task.note}", details=details)
    if kind is SegmentKind.PULLING:
        return Cause(name=kind, reason=f"its worker {task.node} pulls {task.note}", details=details)
    if kind is SegmentKind.BETWEEN_STEPS:
        reason = f"step {task.step} of {len(task.definition.steps)} has ended; the next one is about to start"
        return Cause(name=kind, reason=reason, details=details)
    if kind is SegmentKind.RUNNING:
        return Cause(name=kind, reason=f"it is running on {task.node}", details=details)
    return Cause(name=SegmentKind.STARTING, reason=f"its container starts on {task.node}", details=details)


CAUSES: tuple[Callable[[Facts], Cause | None], ...] = (
    _ended,
    _job_not_running,
    _created,
    _retry,
    _broker_away,
    _no_worker,
    _queue,
    _composite,
    _advancing,
    _replacing,
    _step,
)


def _serving(facts: Facts) -> list[Node]:
    return [node for node in facts.live_workers if facts.task.queue in node.queues]


def _tasks_are(number: int) -> str:
    return "1 task is" if number == 1 else f"{number} tasks are"
