"""Jobs and tasks as JSON: camelCase, empty fields left out, nothing secret shown.

The API answers it and webhooks send it.
"""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import Any, cast

from tork_celery.domain.codec import Document, encode
from tork_celery.domain.model import Job, Task
from tork_celery.domain.redaction import masking, redacted, secrets_of_job, secrets_of_task
from tork_celery.domain.scheduled_job import ScheduledJob
from tork_celery.domain.states import JobState, TaskState

_OF_A_TASK_SUMMARY = (
    *("id", "jobId", "parentId", "position", "name", "description", "tags", "state", "queue"),
    *("createdAt", "scheduledAt", "startedAt", "completedAt", "failedAt"),
    *("nodeId", "redelivered", "var", "progress", "result", "error"),
)
_OF_A_WHOLE_JOB = ("output", "defaults", "webhooks", "permissions", "autoDelete", "secrets")


def job_summary(job: Job) -> Document:
    mask = masking(secrets_of_job(job.definition))
    return cast(Document, redacted(_job_summary(job), mask))


def job(found: Job, execution: Sequence[Task]) -> Document:
    secrets = secrets_of_job(found.definition)
    definition = encode(found.definition)
    whole = _job_summary(found) | {
        "tasks": definition["tasks"],
        "context": {
            "job": {"id": found.id, "name": found.definition.name},
            "inputs": dict(found.definition.inputs),
            "secrets": dict(found.definition.secrets),
            "tasks": dict(found.results),
        },
        **_given(definition),
        **without_empty({"deleteAt": time(found.delete_at)}),
    }
    document: Document = redacted(whole, masking(secrets))
    return document | {"execution": [task(run, secrets) for run in execution]}


def task(found: Task, job_secrets: Collection[str]) -> Document:
    """`job_secrets` are the values of its job that are not to be shown."""
    definition: Document = encode(found.definition)
    if "retry" in definition:
        definition["retry"] |= {"attempts": found.attempts}
    definition |= _composite(found, definition)
    document = definition | without_empty(
        {
            "id": found.id,
            "jobId": found.job_id,
            "parentId": found.parent_id,
            "position": found.position,
            "state": found.state,
            "queue": None if found.definition.is_composite else found.queue,
            "createdAt": time(found.created_at),
            "scheduledAt": time(found.scheduled_at),
            **_ends(found),
            "nodeId": found.node,
            "redelivered": found.losses,
            "result": found.result,
            "error": found.error,
            "progress": found.progress,
        }
    )
    return cast(Document, redacted(document, masking({*job_secrets, *secrets_of_task(found.definition)})))


def scheduled_job_summary(found: ScheduledJob) -> Document:
    mask = masking(secrets_of_job(found.definition))
    return cast(Document, redacted(_scheduled_job_summary(found), mask))


def scheduled_job(found: ScheduledJob) -> Document:
    """With what its jobs are made of."""
    definition = encode(found.definition)
    whole = _scheduled_job_summary(found) | {
        "tasks": definition["tasks"],
        **_given(definition),
    }
    return cast(Document, redacted(whole, masking(secrets_of_job(found.definition))))


def _scheduled_job_summary(found: ScheduledJob) -> Document:
    definition = found.definition
    return without_empty(
        {
            "id": found.id,
            "createdBy": found.created_by and {"username": found.created_by},
            "name": definition.name,
            "description": definition.description,
            "tags": list(definition.tags),
            "inputs": dict(definition.inputs),
            "state": found.state,
            "cron": found.cron,
            "schedule": {"id": found.id, "cron": found.cron},
            "createdAt": time(found.created_at),
            "nextRunAt": time(found.next_at),
        }
    )


def _given(definition: Document) -> Document:
    """What a definition says of a whole job. Users and roles are objects, as Tork has them."""
    given = {key: definition[key] for key in _OF_A_WHOLE_JOB if key in definition}
    if "permissions" in given:
        given["permissions"] = [
            {"user": {"username": each["user"]}} if "user" in each else {"role": {"slug": each["role"]}}
            for each in given["permissions"]
        ]
    return given


def task_summary(found: Task, job_secrets: Collection[str]) -> Document:
    """The task without what it runs."""
    whole = task(found, job_secrets)
    return {key: whole[key] for key in _OF_A_TASK_SUMMARY if key in whole}


def _composite(found: Task, definition: Document) -> Document:
    """Where a composite stands, beside what it is made of."""
    if "parallel" in definition:
        return {"parallel": definition["parallel"] | {"completions": found.completions}}
    if "each" in definition:
        counters = {"size": found.size, "completions": found.completions, "index": found.started_children}
        return {"each": definition["each"] | counters}
    if "subjob" in definition:
        return {"subjob": definition["subjob"] | without_empty({"id": found.subjob_id})}
    return {}


def _job_summary(job: Job) -> Document:
    definition = job.definition
    return without_empty(
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
            **_ends(job),
            "taskCount": job.task_count,
            "result": job.result,
            "error": job.error,
            "progress": job.progress,
            "schedule": encode(definition.schedule) if definition.schedule else None,
        }
    ) | {"position": _position(job)}


def _position(job: Job) -> int:
    """Of the task that the job is at; past the last one when all are done, as clients compute with it."""
    return job.position + (job.state is JobState.COMPLETED)


def _ends(found: Job | Task) -> Document:
    """When it began, and when it ended in the states that say how."""
    completed = found.state in (JobState.COMPLETED, TaskState.COMPLETED)
    failed = found.state in (JobState.FAILED, TaskState.FAILED)
    return {
        "startedAt": time(found.started_at),
        "completedAt": time(found.ended_at) if completed else None,
        "failedAt": time(found.ended_at) if failed else None,
    }


def time(seconds: float | None) -> str | None:
    """RFC 3339, in UTC."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def without_empty(document: Document) -> dict[str, Any]:
    return {key: value for key, value in document.items() if value not in (None, "", [], {}, 0)}
