"""Jobs and tasks as JSON: camelCase, empty fields left out, nothing secret shown.

The API answers it and webhooks send it.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from tork_celery.domain.document import Document, encode
from tork_celery.domain.model import Job, Task
from tork_celery.domain.redaction import redact_document
from tork_celery.domain.states import JobState, TaskState


def job_summary(job: Job) -> Document:
    return without_empty(
        {
            "id": job.id,
            "createdBy": job.created_by and {"username": job.created_by},
            "name": job.definition.name,
            "description": job.definition.description,
            "tags": list(job.definition.tags),
            "state": job.state,
            "createdAt": time(job.created_at),
            "startedAt": time(job.started_at),
            "completedAt": time(job.ended_at) if job.state is JobState.COMPLETED else None,
            "failedAt": time(job.ended_at) if job.state is JobState.FAILED else None,
            "taskCount": job.task_count,
            "result": job.result,
            "error": job.error,
            "progress": job.progress,
        }
    ) | {"position": job.position}


def job(found: Job, execution: Sequence[Task]) -> Document:
    return job_summary(found) | {
        "tasks": [redact_document(encode(definition)) for definition in found.definition.tasks],
        "execution": [task(run) for run in execution],
        "context": {"job": {"id": found.id, "name": found.definition.name}, "tasks": dict(found.results)},
    }


def task(found: Task) -> Document:
    definition: Document = redact_document(encode(found.definition))
    if "retry" in definition:
        definition["retry"] |= {"attempts": found.attempts}
    return definition | without_empty(
        {
            "id": found.id,
            "jobId": found.job_id,
            "parentId": found.parent_id,
            "position": found.position,
            "state": found.state,
            "queue": found.queue,
            "createdAt": time(found.created_at),
            "scheduledAt": time(found.scheduled_at),
            "startedAt": time(found.started_at),
            "completedAt": time(found.ended_at) if found.state is TaskState.COMPLETED else None,
            "failedAt": time(found.ended_at) if found.state is TaskState.FAILED else None,
            "nodeId": found.node,
            "redelivered": found.losses,
            "result": found.result,
            "error": found.error,
            "progress": found.progress,
        }
    )


def time(seconds: float | None) -> str | None:
    """RFC 3339, in UTC."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def without_empty(document: Document) -> dict[str, Any]:
    return {key: value for key, value in document.items() if value not in (None, "", [], {}, 0)}
