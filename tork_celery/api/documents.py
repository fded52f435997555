"""What the API answers: domain objects as JSON, camelCase, empty fields left out, nothing secret shown."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from tork_celery.domain.document import Document, encode
from tork_celery.domain.logs import LogPart
from tork_celery.domain.model import Job, Task
from tork_celery.domain.redaction import redact_document
from tork_celery.domain.states import JobState, TaskState
from tork_celery.services.view import Metrics, NodeView, Page, QueueView

T = TypeVar("T")

OK: Document = {"status": "OK"}
"""The answer to what was done and has nothing to show."""


def job_summary(job: Job) -> Document:
    return _without_empty(
        {
            "id": job.id,
            "name": job.definition.name,
            "description": job.definition.description,
            "tags": list(job.definition.tags),
            "state": job.state,
            "createdAt": _time(job.created_at),
            "startedAt": _time(job.started_at),
            "completedAt": _time(job.ended_at) if job.state is JobState.COMPLETED else None,
            "failedAt": _time(job.ended_at) if job.state is JobState.FAILED else None,
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
    return definition | _without_empty(
        {
            "id": found.id,
            "jobId": found.job_id,
            "parentId": found.parent_id,
            "position": found.position,
            "state": found.state,
            "queue": found.queue,
            "createdAt": _time(found.created_at),
            "scheduledAt": _time(found.scheduled_at),
            "startedAt": _time(found.started_at),
            "completedAt": _time(found.ended_at) if found.state is TaskState.COMPLETED else None,
            "failedAt": _time(found.ended_at) if found.state is TaskState.FAILED else None,
            "nodeId": found.node,
            "redelivered": found.losses,
            "result": found.result,
            "error": found.error,
            "progress": found.progress,
        }
    )


def log_part(part: LogPart) -> Document:
    return {
        "id": f"{part.task_id}-{part.number}",
        "number": part.number,
        "taskId": part.task_id,
        "contents": part.contents,
        "createdAt": _time(part.created_at),
    }


def node(view: NodeView) -> Document:
    return _without_empty(
        {
            "id": view.node.instance,
            "name": view.node.name,
            "hostname": view.node.hostname,
            "port": view.node.port,
            "startedAt": _time(view.node.started_at),
            "cpuPercent": view.node.cpu_percent,
            "lastHeartbeatAt": _time(view.node.heartbeat_at),
            "queue": ",".join(view.node.queues),
            "status": view.status,
            "taskCount": view.task_count,
            "version": view.node.version,
        }
    )


def queue(view: QueueView) -> Document:
    return {"name": view.name, "size": view.size, "subscribers": view.subscribers, "unacked": view.unacked}


def metrics(found: Metrics) -> Document:
    return {
        "jobs": {"running": found.running_jobs},
        "tasks": {"running": sum(found.running_tasks.values())},
        "nodes": {"online": found.online_nodes, "cpuPercent": found.cpu_percent},
    }


def page(found: Page[T], item: Callable[[T], Document]) -> Document:
    return {
        "items": [item(each) for each in found.items],
        "number": found.number,
        "size": found.size,
        "totalPages": found.total_pages,
        "totalItems": found.total_items,
    }


def _time(seconds: float | None) -> str | None:
    """RFC 3339, in UTC."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _without_empty(document: Document) -> dict[str, Any]:
    return {key: value for key, value in document.items() if value not in (None, "", [], {}, 0)}
