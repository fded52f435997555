"""Decisions of the coordinator: pure functions from a job, a task and an event to a plan.

`services.plan_runner` carries out a plan while it holds the lock of the job. `domain.planner` decides which
task follows which.
"""

from dataclasses import replace

from tork_celery.domain import durations, retry, run_again
from tork_celery.domain.concurrency import slot_of
from tork_celery.domain.definition import JobDefinition
from tork_celery.domain.dispatched import NOTHING, DispatchMeter
from tork_celery.domain.errors import WrongState
from tork_celery.domain.masking import conceal
from tork_celery.domain.model import Job, Task
from tork_celery.domain.plan import Plan, RandomSource, TaskReader
from tork_celery.domain.plan_limits import PlanLimits
from tork_celery.domain.planner import Planner, start_job
from tork_celery.domain.run_again import RestartFrom
from tork_celery.domain.segments import Mark, SegmentKind, with_mark
from tork_celery.domain.states import JobState, Outcome, TaskState
from tork_celery.domain.task_graph import has_needs

MAX_LOSSES = 5
"""A task that loses its node more often fails: it may be what kills the nodes."""


def submit(
    definition: JobDefinition,
    *,
    now: float,
    random: RandomSource,
    created_by: str | None = None,
    rerun_of: str | None = None,
) -> Plan:
    """Return the plan for a new job: the job and its first task."""
    job = _new_job(definition, now=now, random=random, created_by=created_by)
    return start_job(replace(job, rerun_of=rerun_of), now=now, random=random)


def submit_waiting(
    definition: JobDefinition, *, now: float, random: RandomSource, created_by: str | None = None
) -> Plan:
    """Return the plan for a new job that is PENDING and has no tasks until `start` lets it run."""
    return Plan(job=_new_job(definition, now=now, random=random, created_by=created_by))


def waiting(job: Job) -> Plan:
    """Return the plan for a new job that was to start, and waits instead."""
    return Plan(
        job=Job(
            id=job.id,
            definition=job.definition,
            state=JobState.PENDING,
            created_at=job.created_at,
            created_by=job.created_by,
            rerun_of=job.rerun_of,
            priority=job.priority,
            slot_key=job.slot_key,
            slot_limit=job.slot_limit,
        )
    )


def start(job: Job, *, now: float, random: RandomSource) -> Plan | None:
    """Start a job that waits. Returns None if it does not wait: it has started or ended."""
    return start_job(job, now=now, random=random) if job.state is JobState.PENDING else None


def advance(
    job: Job, task: Task, task_reader: TaskReader, *, now: float, random: RandomSource
) -> Plan | None:
    """Complete, retry or fail a task whose outcome is recorded, and start what follows.

    Returns None if there is nothing to do: the task has no outcome yet, the job was advanced before, or a
    composite that the task is part of has failed, and the task is to be stopped.
    """
    if task.outcome is None or task.state is not TaskState.RUNNING or job.state.ended:
        return None
    planner = Planner(job, task_reader, now=now, random=random)
    if planner.is_stopped(task):
        return None
    if task.outcome is Outcome.COMPLETED:
        planner.complete(replace(task, result=task.result or ""))
    elif (attempt := retry.next_attempt(task, id_=random.new_id(), now=now)) is not None:
        planner.retry(task, attempt)
    else:
        planner.fail(task)
    return planner.plan()


def start_tasks(job: Job, task_reader: TaskReader, *, now: float, random: RandomSource) -> Plan | None:
    """Start tasks of the job that an earlier plan left. Returns None if the job has ended."""
    if job.state.ended:
        return None
    planner = Planner(job, task_reader, now=now, random=random)
    planner.start_waiting(None)
    return planner.plan()


def start_children(
    job: Job, parent: Task, task_reader: TaskReader, *, now: float, random: RandomSource
) -> Plan | None:
    """Start children of a composite that an earlier plan left.

    Returns None if there is nothing to do.
    """
    if job.state.ended or parent.state is not TaskState.RUNNING:
        return None
    planner = Planner(job, task_reader, now=now, random=random)
    if planner.is_stopped(parent):
        return None
    if has_needs(parent.definition.children):
        planner.start_waiting(parent.id)
    elif parent.started_children == parent.size:
        return None
    else:
        planner.start_children(parent.id)
    return planner.plan()


def subjob_ended(
    job: Job, task: Task, subjob: Job, task_reader: TaskReader, *, now: float, random: RandomSource
) -> Plan | None:
    """End a task as its subjob has ended: completed, failed, or cancelled with the whole job.

    Returns None if there is nothing to do.
    """
    waits = task.state is TaskState.RUNNING and task.subjob_id == subjob.id
    if not waits or job.state.ended or not subjob.state.ended:
        return None
    planner = Planner(job, task_reader, now=now, random=random)
    if planner.is_stopped(task):
        return None
    if subjob.state is JobState.CANCELLED:
        planner.cancel()
    elif subjob.state is JobState.FAILED:
        planner.fail(replace(task, error=subjob.error))
    else:
        planner.complete(replace(task, result=subjob.result or ""))
    return planner.plan()


def time_out(job: Job, task_reader: TaskReader, *, now: float, random: RandomSource) -> Plan | None:
    """Fail a job whose timeout has passed, and stop its active tasks. Returns None before that time."""
    timeout = job.definition.timeout
    if job.state is not JobState.RUNNING or timeout is None or job.started_at is None:
        return None
    if now < job.started_at + durations.seconds(timeout):
        return None
    planner = Planner(job, task_reader, now=now, random=random)
    planner.time_out(timeout)
    return planner.plan()


def cancel(job: Job, task_reader: TaskReader, *, now: float, random: RandomSource) -> Plan:
    """Cancel a job and its active tasks. Raises WrongState for a job that has ended."""
    if job.state.ended:
        raise WrongState(f"the job is {job.state}; only one that has not ended can be cancelled")
    planner = Planner(job, task_reader, now=now, random=random)
    planner.cancel()
    return planner.plan()


def restart(
    job: Job,
    task_reader: TaskReader,
    *,
    now: float,
    random: RandomSource,
    start: RestartFrom | None = None,
) -> Plan:
    """Run what is not done in an ended job again, the task of `start`, and all that needs one of these.

    Raises WrongState, InvalidInput.
    """
    again = run_again.restart(job, task_reader.current_run(job.id), start)
    restarted = replace(job, result=None, error=None, ended_at=None, started_at=None, delete_at=None)
    limits = PlanLimits(DispatchMeter(lambda: NOTHING))
    planner = Planner(restarted, task_reader, now=now, random=random, limits=limits)
    planner.restart(again)
    superseded = tuple(index + 1 for index in sorted(again.indexes))
    return replace(planner.plan(), restarted=True, superseded=superseded)


def _new_job(definition: JobDefinition, *, now: float, random: RandomSource, created_by: str | None) -> Job:
    """Return a new job. Raises InvalidInput if its `concurrency` cannot be evaluated."""
    job = Job(
        id=random.new_id(),
        definition=conceal(definition),
        state=JobState.PENDING,
        created_at=now,
        created_by=created_by,
    )
    slot = slot_of(definition, job_id=job.id, now=now, random=random)
    if slot is None:
        return job
    priority = definition.defaults.priority if definition.defaults else None
    return replace(
        job,
        slot_key=slot.key,
        slot_limit=slot.limit,
        priority=priority if isinstance(priority, int) else 0,
    )


def redeliver(task: Task, *, now: float, lease_s: float) -> Task:
    """Return a running task whose node is lost, as its next delivery or, after too many losses, as failed.

    The node has renewed the lease, which lasts `lease_s` seconds, until it was lost.
    """
    reason = f"{task.node} was lost"
    lost_at = now if task.lease_until is None else task.lease_until - lease_s
    mark = Mark(kind=SegmentKind.REPLACING, at=lost_at, reason=reason)
    task = replace(task, marks=with_mark(task.marks, mark))
    if task.losses >= MAX_LOSSES:
        return replace(
            task,
            outcome=Outcome.FAILED,
            step_running=False,
            ended_at=now,
            losses=task.losses + 1,
            error=f"it lost its worker {task.losses + 1} times; the last one was {task.node}",
        )
    return replace(release(task, now=now, reason=reason), losses=task.losses + 1)


def retry_due(task: Task, *, now: float) -> Task:
    """Return a retry whose back-off has passed, in its queue."""
    return replace(task.with_state(TaskState.SCHEDULED), scheduled_at=now)


def release(task: Task, *, now: float, reason: str) -> Task:
    """Return a running task as its next delivery: it is in its queue again, to start from its first step."""
    mark = Mark(kind=SegmentKind.WAITING, at=now, reason=reason)
    return replace(
        task.with_state(TaskState.SCHEDULED),
        delivery=task.delivery + 1,
        step=0,
        step_running=False,
        sent_at=None,
        node=None,
        lease_until=None,
        deadline_at=None,
        started_at=None,
        result=None,
        progress=0.0,
        marks=with_mark(task.marks, mark),
        note="",
    )
