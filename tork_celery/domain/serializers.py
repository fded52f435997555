"""Jobs and tasks as JSON documents of the API and of webhooks.

Keys are camelCase, empty fields are omitted, and secrets are redacted.
"""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import Any, cast

from tork_celery.domain.codec import Document, encode
from tork_celery.domain.definition import JobDefinition
from tork_celery.domain.model import Job, Task
from tork_celery.domain.redaction import masking, redacted, secrets_of_job, secrets_of_task
from tork_celery.domain.scheduled_job import ScheduledJob
from tork_celery.domain.states import JobState, TaskState

_TASK_SUMMARY_KEYS = (
    *("id", "jobId", "parentId", "position", "name", "description", "tags", "state", "queue"),
    *("createdAt", "scheduledAt", "startedAt", "completedAt", "failedAt"),
    *("nodeId", "redelivered", "var", "progress", "result", "error"),
)
_JOB_DEFINITION_KEYS = ("tasks", "output", "defaults", "webhooks", "permissions", "autoDelete", "secrets")


def job_summary(job: Job) -> Document:
    """Return a job without its tasks."""
    return _redacted_for(job.definition, _job_summary(job))


def job(job: Job, execution: Sequence[Task]) -> Document:
    """Return a whole job. `execution` has its tasks."""
    document = _job_summary(job) | {
        "context": {
            "job": {"id": job.id, "name": job.definition.name},
            "inputs": dict(job.definition.inputs),
            "secrets": dict(job.definition.secrets),
            "tasks": dict(job.results),
        },
        **_definition(job.definition),
        **without_empty({"deleteAt": time(job.delete_at)}),
    }
    secrets = secrets_of_job(job.definition)
    return _redacted_for(job.definition, document) | {"execution": [task(run, secrets) for run in execution]}


def task(task: Task, job_secrets: Collection[str]) -> Document:
    """Return a whole task. `job_secrets` has the values of its job to mask."""
    definition: Document = encode(task.definition)
    if "retry" in definition:
        definition["retry"] |= {"attempts": task.attempts}
    definition |= _composite(task, definition)
    document = definition | without_empty(
        {
            "id": task.id,
            "jobId": task.job_id,
            "parentId": task.parent_id,
            "position": task.position,
            "state": task.state,
            "queue": None if task.definition.is_composite else task.queue,
            "createdAt": time(task.created_at),
            "scheduledAt": time(task.scheduled_at),
            **_start_and_end(task),
            "nodeId": task.node,
            "redelivered": task.losses,
            "result": task.result,
            "error": task.error,
            "progress": task.progress,
        }
    )
    return cast(Document, redacted(document, masking({*job_secrets, *secrets_of_task(task.definition)})))


def task_summary(task_: Task, job_secrets: Collection[str]) -> Document:
    """Return a task without what it runs. `job_secrets` has the values of its job to mask."""
    document = task(task_, job_secrets)
    return {key: document[key] for key in _TASK_SUMMARY_KEYS if key in document}


def scheduled_job_summary(scheduled: ScheduledJob) -> Document:
    """Return a scheduled job without the definition of its jobs."""
    return _redacted_for(scheduled.definition, _scheduled_job_summary(scheduled))


def scheduled_job(scheduled: ScheduledJob) -> Document:
    """Return a whole scheduled job."""
    document = _scheduled_job_summary(scheduled) | _definition(scheduled.definition)
    return _redacted_for(scheduled.definition, document)


def time(seconds: float | None) -> str | None:
    """Return a time in seconds since the epoch as RFC 3339, in UTC."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def without_empty(document: Document) -> dict[str, Any]:
    """Return a document without its fields that are None, empty or 0."""
    return {key: value for key, value in document.items() if value not in (None, "", [], {}, 0)}


def _redacted_for(definition: JobDefinition, document: Document) -> Document:
    return cast(Document, redacted(document, masking(secrets_of_job(definition))))


def _definition(definition: JobDefinition) -> Document:
    """Return the fields of a definition that a summary does not have.

    Users and roles in permissions are objects, as in Tork.
    """
    encoded = encode(definition)
    document = {key: encoded[key] for key in _JOB_DEFINITION_KEYS if key in encoded}
    if "permissions" in document:
        document["permissions"] = [
            {"user": {"username": permission["user"]}}
            if "user" in permission
            else {"role": {"slug": permission["role"]}}
            for permission in document["permissions"]
        ]
    return document


def _composite(task: Task, definition: Document) -> Document:
    """Return the block of a composite with its progress."""
    if "parallel" in definition:
        return {"parallel": definition["parallel"] | {"completions": task.completions}}
    if "each" in definition:
        counters = {"size": task.size, "completions": task.completions, "index": task.started_children}
        return {"each": definition["each"] | counters}
    if "subjob" in definition:
        return {"subjob": definition["subjob"] | without_empty({"id": task.subjob_id})}
    return {}


def _job_summary(job: Job) -> Document:
    definition = job.definition
    document = without_empty(
        {
            "id": job.id,
            "createdBy": job.created_by and {"username": job.created_by},
            "parentId": job.parent_id,
            "inputs": dict(definition.inputs),
            "name": definition.name,
            "description": definition.description,
            "tags": list(definition.tags),
            "state": job.state,
            "createdAt": time(job.created_at),
            **_start_and_end(job),
            "taskCount": job.task_count,
            "result": job.result,
            "error": job.error,
            "progress": job.progress,
            "schedule": encode(definition.schedule) if definition.schedule else None,
        }
    )
    # Clients compute the progress from the position: it is beyond the last task when all are done.
    return document | {"position": job.position + (job.state is JobState.COMPLETED)}


def _scheduled_job_summary(scheduled: ScheduledJob) -> Document:
    definition = scheduled.definition
    return without_empty(
        {
            "id": scheduled.id,
            "createdBy": scheduled.created_by and {"username": scheduled.created_by},
            "name": definition.name,
            "description": definition.description,
            "tags": list(definition.tags),
            "inputs": dict(definition.inputs),
            "state": scheduled.state,
            "cron": scheduled.cron,
            "schedule": {"id": scheduled.id, "cron": scheduled.cron},
            "createdAt": time(scheduled.created_at),
            "nextRunAt": time(scheduled.next_at),
        }
    )


def _start_and_end(row: Job | Task) -> Document:
    completed = row.state in (JobState.COMPLETED, TaskState.COMPLETED)
    failed = row.state in (JobState.FAILED, TaskState.FAILED)
    return {
        "startedAt": time(row.started_at),
        "completedAt": time(row.ended_at) if completed else None,
        "failedAt": time(row.ended_at) if failed else None,
    }
