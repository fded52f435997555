"""The coordinator's mind: what follows from what, as pure functions from what is to a plan.

The services apply a plan under the job's lock. How a job goes through its tasks is in `domain.planner`.
"""

from dataclasses import replace

from tork_celery.domain import retry as backoff
from tork_celery.domain.definition import JobDefinition
from tork_celery.domain.errors import WrongState
from tork_celery.domain.model import Job, Task
from tork_celery.domain.plan import Plan
from tork_celery.domain.planner import NewId, Planner, TaskReader, start_job
from tork_celery.domain.states import JobState, Outcome, TaskState

DONE = 100.0
"""The progress of a job whose tasks are all done."""
MAX_LOSSES = 5
"""A task that was lost with its node more often than this fails: it may be what kills them."""


def submit(definition: JobDefinition, *, now: float, new_id: NewId, created_by: str | None = None) -> Plan:
    """A job comes in: it is stored with its first task, which is sent."""
    job = Job(
        id=new_id(), definition=definition, state=JobState.PENDING, created_at=now, created_by=created_by
    )
    return start_job(job, now=now, new_id=new_id)


def advance(job: Job, task: Task, task_reader: TaskReader, *, now: float, new_id: NewId) -> Plan | None:
    """The steps of a task have ended: the task takes its state, and the job moves on or ends.

    None when there is nothing to do: it was done before, or the steps have not ended.
    """
    if task.outcome is None or task.state is not TaskState.RUNNING or job.state.ended:
        return None
    planner = Planner(job, task_reader, now=now, new_id=new_id)
    if task.outcome is Outcome.COMPLETED:
        planner.complete(replace(task, result=task.result or ""))
    elif (attempt := _retry(task, now=now, new_id=new_id)) is not None:
        planner.retry(task, attempt)
    else:
        planner.fail(task)
    return planner.plan()


def start_children(
    job: Job, parent: Task, task_reader: TaskReader, *, now: float, new_id: NewId
) -> Plan | None:
    """Children of a composite whose turn has come get it. None when there is nothing to do."""
    if job.state.ended or parent.state is not TaskState.RUNNING or parent.started_children == parent.size:
        return None
    planner = Planner(job, task_reader, now=now, new_id=new_id)
    planner.start_children(parent.id)
    return planner.plan()


def subjob_ended(
    job: Job, task: Task, subjob: Job, task_reader: TaskReader, *, now: float, new_id: NewId
) -> Plan | None:
    """The job that a task waits for has ended: so does the task. None when there is nothing to do."""
    waits = task.state is TaskState.RUNNING and task.subjob_id == subjob.id
    if not waits or job.state.ended or not subjob.state.ended:
        return None
    planner = Planner(job, task_reader, now=now, new_id=new_id)
    if subjob.state is JobState.CANCELLED:
        planner.cancel()
    elif subjob.state is JobState.FAILED:
        planner.fail(replace(task, error=subjob.error))
    else:
        planner.complete(replace(task, result=subjob.result or ""))
    return planner.plan()


def cancel(job: Job, task_reader: TaskReader, *, now: float, new_id: NewId) -> Plan:
    """A user ends a job: what of it is active ends with it. Raises WrongState."""
    if job.state.ended:
        raise WrongState(f"the job is {job.state}; only one that has not ended can be cancelled")
    planner = Planner(job, task_reader, now=now, new_id=new_id)
    planner.cancel()
    return planner.plan()


def restart(job: Job, *, now: float, new_id: NewId) -> Plan:
    """A user lets a job go on from the top-level task that it stopped at. Raises WrongState."""
    if job.state not in (JobState.FAILED, JobState.CANCELLED):
        raise WrongState(
            f"the job is {job.state}; only one that has failed or was cancelled can be restarted"
        )
    all_done = job.progress == DONE  # it was the output that failed
    restarted = replace(
        job.with_state(JobState.SCHEDULED),
        position=job.position if all_done else max(0, job.position - 1),
        error=None,
        ended_at=None,
        started_at=None,
        delete_at=None,
    )
    return start_job(restarted, now=now, new_id=new_id)


def redeliver(task: Task, *, now: float) -> Task:
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
    return replace(release(task, now=now), losses=task.losses + 1)


def release(task: Task, *, now: float) -> Task:
    """The task starts again from its first step, wherever that may be, as its next delivery."""
    return replace(
        task.with_state(TaskState.SCHEDULED),
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
        index=failed.index,
        scope=failed.scope,
        position=failed.position,
        definition=failed.definition,
        state=TaskState.PENDING,
        created_at=now,
        due_at=now + delay_s,
        sent_at=now,
    )
