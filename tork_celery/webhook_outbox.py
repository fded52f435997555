"""Record webhook calls in the transaction that makes the change they report.

All functions but `record_claim` compare the new state with the stored one: call them before the change is
stored. They cost at most one query for a job without webhooks. The expressions of a transaction share a
budget of steps. `services.webhook_delivery` makes the calls.
"""

import secrets
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import structlog
from sqlalchemy import Connection

from tork_celery import expr
from tork_celery.domain import webhooks
from tork_celery.domain.model import Job, Task
from tork_celery.domain.plan import JobResults, Plan
from tork_celery.domain.states import JobState, TaskState
from tork_celery.domain.webhooks import Environment, SkippedCall, StateSnapshot, WebhookCall
from tork_celery.store import webhook_queries, webhook_queue
from tork_celery.store.job_results import StoredResults

log = structlog.get_logger(__name__)

_TASKS_PER_QUERY = 500

Calls = list[WebhookCall | SkippedCall]


def may_report(plan: Plan) -> bool:
    """Return whether a job of the plan has webhooks."""
    return any(each.job.definition.webhooks for each in _with_subjobs(plan))


def calls_of_plan(tx: Connection, plan: Plan) -> list[WebhookCall]:
    """Return the calls for the changes of a plan and for the jobs that it adds."""
    budget = expr.Budget(webhooks.MAX_STEPS)
    calls = Calls()
    for each in _with_subjobs(plan):
        if each.job.definition.webhooks:
            calls += _calls_of_job(tx, each, budget)
    return _without_skipped(calls)


def calls_of_ends(
    tx: Connection, job: Job, active: Sequence[Task], state: TaskState
) -> dict[str, list[WebhookCall]]:
    """Return the calls, by task id, for active tasks of a job that are to end in `state`."""
    if not webhooks.task_webhooks(job):
        return {}
    environment = _environment(tx, job, expr.Budget(webhooks.MAX_STEPS))
    before = webhook_queries.task_snapshots(tx, [task.id for task in active])
    return {
        task.id: _without_skipped(
            webhooks.task_calls(job, before.get(task.id), task.with_state(state), environment)
        )
        for task in active
    }


def record(tx: Connection, calls: Sequence[WebhookCall]) -> None:
    """Record calls that one of the functions above returned."""
    webhook_queue.add(tx, calls)


def record_tasks(tx: Connection, changed: Sequence[Task]) -> None:
    """Record the changes of tasks, which may belong to different jobs. The jobs share the steps equally."""
    jobs = webhook_queries.jobs_with_webhooks(tx, {task.job_id for task in changed})
    for job in jobs:
        environment = _environment(tx, job, expr.Budget(webhooks.MAX_STEPS // len(jobs)))
        tasks = [task for task in changed if task.job_id == job.id]
        record(tx, _without_skipped(_calls_of_tasks(tx, job, tasks, environment)))


def record_claim(tx: Connection, task: Task, *, job_started: bool) -> None:
    """Record the claim of a task's first step, after the claim is stored. `job_started` says whether the
    claim was the first one of the job."""
    for job in webhook_queries.jobs_with_webhooks(tx, [task.job_id]):
        environment = _environment(tx, job, expr.Budget(webhooks.MAX_STEPS))
        calls = Calls()
        if job_started:
            calls += webhooks.job_calls(StateSnapshot(JobState.SCHEDULED, job.progress), job, environment)
        calls += webhooks.task_calls(
            job, StateSnapshot(TaskState.SCHEDULED, task.progress), task, environment
        )
        record(tx, _without_skipped(calls))


def record_progress(tx: Connection, progress: Mapping[str, float], *, node: str) -> None:
    """Record the progress, by task id, of tasks that run on a node."""
    if progress:
        running = webhook_queries.running_tasks(tx, progress, node=node)
        record_tasks(tx, [replace(task, progress=progress[task.id]) for task in running])


def _with_subjobs(plan: Plan) -> list[Plan]:
    plans = [plan]
    for each in plans:
        plans += each.subjobs
    return plans


def _calls_of_job(tx: Connection, plan: Plan, budget: expr.Budget) -> Calls:
    job = plan.job
    environment = _environment(tx, job, budget, added=plan.results)
    calls = webhooks.job_calls(webhook_queries.job_snapshot(tx, job.id), job, environment)
    return calls + _calls_of_tasks(tx, job, (*plan.changed, *plan.added), environment)


def _calls_of_tasks(tx: Connection, job: Job, changed: Sequence[Task], environment: Environment) -> Calls:
    calls = Calls()
    if not webhooks.task_webhooks(job):
        return calls
    for start in range(0, len(changed), _TASKS_PER_QUERY):
        batch = changed[start : start + _TASKS_PER_QUERY]
        before = webhook_queries.task_snapshots(tx, [task.id for task in batch])
        for task in batch:
            calls += webhooks.task_calls(job, before.get(task.id), task, environment)
    return calls


def _environment(
    tx: Connection, job: Job, budget: expr.Budget, added: Mapping[str, str] | None = None
) -> Environment:
    """Return what expressions use: the datastore's clock, random numbers, results, and a budget of steps."""

    def now() -> datetime:
        return datetime.fromtimestamp(webhook_queries.now(tx), UTC)

    return Environment(
        results=JobResults(StoredResults(tx, job.id), added or {}),
        host=expr.HostFunctions(now=now, randbelow=secrets.randbelow),
        budget=budget,
    )


def _without_skipped(calls: Iterable[WebhookCall | SkippedCall]) -> list[WebhookCall]:
    """Return the calls to make, and log those that cannot be made, once for each reason."""
    skipped = Counter(call for call in calls if isinstance(call, SkippedCall))
    for call, number in skipped.items():
        log.warning(
            "webhook.skipped",
            job_id=call.job_id,
            event_name=call.event,
            place=call.place,
            reason=call.reason,
            number=number,
        )
    return [call for call in calls if isinstance(call, WebhookCall)]
