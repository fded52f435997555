"""Record webhook calls in the transaction that makes the change they report.

All functions but `record_claim` compare the new state with the stored one: call them before the change is
stored. They cost at most one query for a job without webhooks. `services.webhook_delivery` makes the calls.
"""

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import structlog
from sqlalchemy import Connection

from tork_celery import expr
from tork_celery.domain import webhooks
from tork_celery.domain.model import Job, Task
from tork_celery.domain.states import JobState, TaskState
from tork_celery.domain.webhooks import SkippedCall, StateSnapshot, WebhookCall
from tork_celery.store import webhook_queries, webhook_queue

log = structlog.get_logger(__name__)

_TASKS_PER_QUERY = 500


def record_job(tx: Connection, job: Job, changed: Sequence[Task] = ()) -> None:
    """Record the changes of a job, which may be new, and of some of its tasks."""
    if job.definition.webhooks:
        _add(tx, webhooks.job_calls(webhook_queries.job_snapshot(tx, job.id), job, _host_functions(tx)))
        _record_tasks(tx, job, changed)


def record_early_end(tx: Connection, job: Job, state: TaskState) -> None:
    """Record that all active tasks of a job are about to end in `state`: CANCELLED or STOPPED."""
    if webhooks.has_task_webhooks(job):
        active = webhook_queries.active_tasks(tx, job.id)
        _record_tasks(tx, job, [task.with_state(state) for task in active])


def record_tasks(tx: Connection, changed: Sequence[Task]) -> None:
    """Record the changes of tasks, which may belong to different jobs."""
    for job in webhook_queries.jobs_with_webhooks(tx, {task.job_id for task in changed}):
        _record_tasks(tx, job, [task for task in changed if task.job_id == job.id])


def record_claim(tx: Connection, task: Task, *, job_started: bool) -> None:
    """Record the claim of a task's first step, after the claim is stored. `job_started` says whether the
    claim was the first one of the job."""
    host = _host_functions(tx)
    for job in webhook_queries.jobs_with_webhooks(tx, [task.job_id]):
        if job_started:
            _add(tx, webhooks.job_calls(StateSnapshot(JobState.SCHEDULED, job.progress), job, host))
        _add(tx, webhooks.task_calls(job, StateSnapshot(TaskState.SCHEDULED, task.progress), task, host))


def record_progress(tx: Connection, progress: Mapping[str, float], *, node: str) -> None:
    """Record the progress, by task id, of tasks that run on a node."""
    if progress:
        running = webhook_queries.running_tasks(tx, progress, node=node)
        record_tasks(tx, [replace(task, progress=progress[task.id]) for task in running])


def _record_tasks(tx: Connection, job: Job, changed: Sequence[Task]) -> None:
    if not webhooks.has_task_webhooks(job):
        return
    host = _host_functions(tx)
    for start in range(0, len(changed), _TASKS_PER_QUERY):
        batch = changed[start : start + _TASKS_PER_QUERY]
        before = webhook_queries.task_snapshots(tx, [task.id for task in batch])
        for task in batch:
            _add(tx, webhooks.task_calls(job, before.get(task.id), task, host))


def _host_functions(tx: Connection) -> expr.HostFunctions:
    """Return the datastore's clock and a source of random numbers, for the expressions of webhooks."""

    def now() -> datetime:
        return datetime.fromtimestamp(webhook_queries.now(tx), UTC)

    return expr.HostFunctions(now=now, randbelow=secrets.randbelow)


def _add(tx: Connection, decided: Iterable[WebhookCall | SkippedCall]) -> None:
    calls = []
    for call in decided:
        if isinstance(call, WebhookCall):
            calls.append(call)
        else:
            log.warning(
                "webhook.skipped",
                job_id=call.job_id,
                event_name=call.event,
                place=call.place,
                reason=call.reason,
            )
    webhook_queue.add(tx, calls)
