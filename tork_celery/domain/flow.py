"""The coordinator's mind: what follows from what, as pure functions from what is to a plan.

`Plan` says which rows change, which are new and which tasks are to be sent once that is committed; the
services apply it under the job's lock.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from tork_celery.domain import retry as backoff
from tork_celery.domain.definition import JobDefinition
from tork_celery.domain.errors import WrongState
from tork_celery.domain.model import Job, Task
from tork_celery.domain.states import JobState, Outcome, TaskState

MAX_LOSSES = 5
"""A task that was lost with its node more often than this fails: it may be what kills them."""

NewId = Callable[[], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to do: `job` as it is to be, tasks to change and to add, and those of them to send."""

    job: Job
    changed: tuple[Task, ...] = ()
    added: tuple[Task, ...] = ()
    send: tuple[Task, ...] = ()


def submit(definition: JobDefinition, *, now: float, new_id: NewId, created_by: str | None = None) -> Plan:
    """A job comes in: it is stored with its first task, which is sent."""
    job = Job(
        id=new_id(),
        definition=definition,
        state=JobState.PENDING,
        created_at=now,
        created_by=created_by,
    )
    return _begin_next(job, now=now, new_id=new_id)


def advance(job: Job, task: Task, *, now: float, new_id: NewId) -> Plan | None:
    """The steps of a task have ended: the task takes its state, and the job moves on or ends.

    None when there is nothing to do: it was done before, or the steps have not ended.
    """
    if task.outcome is None or task.state is not TaskState.RUNNING or job.state.ended:
        return None
    ended = replace(task, state=TaskState(task.outcome), ended_at=task.ended_at or now)
    if task.outcome is Outcome.FAILED:
        if (again := _retry(ended, now=now, new_id=new_id)) is not None:
            return Plan(job=job, changed=(ended,), added=(again,), send=(again,))
        failed = replace(job, state=JobState.FAILED, error=task.error, ended_at=now)
        return Plan(job=failed, changed=(ended,))
    job = _with_result(job, ended)
    if job.position < job.task_count:
        following = _begin_next(job, now=now, new_id=new_id)
        return replace(following, changed=(ended,))
    done = replace(job, state=JobState.COMPLETED, progress=100.0, ended_at=now)
    return Plan(job=done, changed=(ended,))


def cancel(job: Job, tasks: Iterable[Task], *, now: float) -> Plan:
    """A user ends a job: what of it is active ends with it. Raises WrongState."""
    if job.state.ended:
        raise WrongState(f"the job is {job.state}; only one that has not ended can be cancelled")
    ended = tuple(
        replace(task, state=TaskState.CANCELLED, step_running=False, ended_at=now)
        for task in tasks
        if task.state.active
    )
    return Plan(job=replace(job, state=JobState.CANCELLED, ended_at=now), changed=ended)


def restart(job: Job, *, now: float, new_id: NewId) -> Plan:
    """A user lets a job go on from the task that it stopped at. Raises WrongState."""
    if job.state not in (JobState.FAILED, JobState.CANCELLED):
        raise WrongState(
            f"the job is {job.state}; only one that has failed or was cancelled can be restarted"
        )
    before = replace(
        job, state=JobState.PENDING, position=job.position - 1, error=None, ended_at=None, started_at=None
    )
    return _begin_next(before, now=now, new_id=new_id)


def lose(task: Task, *, now: float) -> Task:
    """The node of a running task is gone: the task is delivered again or, after too many losses, fails."""
    if task.losses >= MAX_LOSSES:
        return replace(
            task,
            outcome=Outcome.FAILED,
            step_running=False,
            ended_at=now,
            losses=task.losses + 1,
            error=f"its worker was lost {task.losses + 1} times, the last one was {task.node}",
        )
    return replace(give_back(task, now=now), losses=task.losses + 1)


def give_back(task: Task, *, now: float) -> Task:
    """The task starts again from its first step, wherever that may be, as its next delivery."""
    return replace(
        task,
        state=TaskState.SCHEDULED,
        delivery=task.delivery + 1,
        step=0,
        step_running=False,
        sent_at=now,
        node=None,
        lease_until=None,
        deadline_at=None,
        started_at=None,
        result=None,
        progress=0.0,
    )


def _begin_next(job: Job, *, now: float, new_id: NewId) -> Plan:
    definition = job.definition.tasks[job.position]
    job = replace(job, position=job.position + 1)
    if job.state is JobState.PENDING:
        job = replace(job, state=JobState.SCHEDULED)
    task = Task(
        id=new_id(),
        job_id=job.id,
        job_name=job.definition.name,
        position=job.position,
        definition=definition,
        state=TaskState.SCHEDULED,
        created_at=now,
        scheduled_at=now,
        sent_at=now,
    )
    return Plan(job=job, added=(task,), send=(task,))


def _retry(failed: Task, *, now: float, new_id: NewId) -> Task | None:
    """The next attempt at a task, if it has one left."""
    retry = failed.definition.retry
    if retry is None or failed.attempts >= retry.limit:
        return None
    delay_s = backoff.delay_s(retry, attempts=failed.attempts)
    return Task(
        id=new_id(),
        first_id=failed.first_id or failed.id,
        attempts=failed.attempts + 1,
        job_id=failed.job_id,
        job_name=failed.job_name,
        parent_id=failed.parent_id,
        position=failed.position,
        definition=failed.definition,
        state=TaskState.PENDING,
        created_at=now,
        due_at=now + delay_s,
        sent_at=now,
    )


def _with_result(job: Job, task: Task) -> Job:
    progress = round(100.0 * job.position / job.task_count, 2)
    results = {**job.results} | ({task.definition.var: task.result or ""} if task.definition.var else {})
    return replace(job, results=results, progress=progress)
