"""End the active tasks of a job that has failed or was cancelled, or of a composite that has failed.

The job ends first, with a batch of its tasks. The other tasks follow in further batches, each in a
transaction of its own, so that a large job keeps no other one waiting. No task of an ended job is claimed.
The sweep continues what a crash interrupts.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from tork_celery import webhook_outbox
from tork_celery.domain import webhooks
from tork_celery.domain.model import Job, Task
from tork_celery.domain.states import TaskState
from tork_celery.domain.webhooks import WebhookCall
from tork_celery.publisher import Publisher
from tork_celery.services.context import ServiceContext
from tork_celery.store import composite_items, jobs, publishing_window, tasks

MAX_ENDED_TASKS = 250
"""Tasks that one transaction ends, divided by the webhook calls that each of them causes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Tasks of a job to end in `state`, with the webhook calls, by task id, that report it.

    `last` says that no other active tasks are left. `of_job` says that the job has ended, and not only
    composites of it.
    """

    tasks: Sequence[Task]
    state: TaskState
    calls: Mapping[str, Sequence[WebhookCall]]
    last: bool
    of_job: bool = True

    @property
    def queues(self) -> set[str]:
        """The queues whose windows may get room, since the tasks wait no longer."""
        return {task.queue for task in self.tasks if task.state is TaskState.SCHEDULED}


def first_batch(tx: Connection, job: Job, state: TaskState, *, except_for: Collection[str]) -> Batch:
    """Choose the first active tasks of a job to end, RUNNING ones before others."""
    limit = _batch_size(job) + len(except_for)
    active = tasks.active(tx, job.id, limit=limit, running_first=True)
    chosen = [task for task in active if task.id not in except_for]
    return _batch(tx, job, chosen, state, last=len(active) < limit)


def _next_batch(tx: Connection, job: Job, state: TaskState) -> Batch:
    limit = _batch_size(job)
    if job.state.ended:
        active = tasks.active(tx, job.id, limit=limit)
        return _batch(tx, job, active, state, last=len(active) < limit)
    children = tasks.active_in_ended_composites(tx, job.id, limit=limit)
    last = len(children) < limit and not any(child.definition.is_composite for child in children)
    return replace(_batch(tx, job, children, state, last=last), of_job=False)


def _batch(tx: Connection, job: Job, chosen: Sequence[Task], state: TaskState, *, last: bool) -> Batch:
    calls = webhook_outbox.calls_of_ends(tx, job, chosen, state)
    return Batch(tasks=chosen, state=state, calls=calls, last=last)


def _batch_size(job: Job) -> int:
    return max(1, MAX_ENDED_TASKS // (1 + webhooks.task_webhooks(job)))


def store(tx: Connection, job_id: str, batch: Batch) -> Sequence[Task]:
    """End the tasks of a batch that are still active.

    Returns those that had started: a node has claimed them, or they wait for a subjob.
    """
    ended = tasks.end_active(tx, batch.tasks, state=batch.state)
    for task in ended:
        webhook_outbox.record(tx, batch.calls.get(task.id, ()))
    jobs.set_stopping(tx, job_id, None if batch.last else batch.state)
    if batch.last and batch.of_job:
        composite_items.remove_all(tx, job_id)
    return [task for task in ended if task.node or task.subjob_id]


def publish(publisher: Publisher, job_id: str, ended: Sequence[Task], *, last: bool) -> None:
    """Kill the steps and cancel the subjobs of ended tasks, and continue with the next batch."""
    publisher.kill_steps(ended)
    publisher.cancel_subjobs(ended)
    publisher.end_tasks(() if last else (job_id,))


def end_tasks(context: ServiceContext, job_id: str) -> None:
    """End the next batch of tasks of an ended job, or of ended composites. Does nothing if none are left."""
    with context.database.reading() as tx:
        job, state = jobs.get(tx, job_id), jobs.stopping(tx, job_id)
        if job is None or state is None:
            return
        batch = _next_batch(tx, job, state)
    with context.database.transaction() as tx:
        if not jobs.lock_unchanged(tx, job):
            job, state = jobs.get(tx, job_id), jobs.stopping(tx, job_id)
            if job is None or state is None:
                return
            batch = _next_batch(tx, job, state)
        ended = store(tx, job_id, batch)
        sent = publishing_window.mark_next_sent(tx, batch.queues, lease_s=context.lease_s)
    publisher = context.publisher()
    publish(publisher, job_id, ended, last=batch.last)
    publisher.send(sent)
