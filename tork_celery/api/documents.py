"""What the API answers: domain objects as JSON, camelCase, empty fields left out, nothing secret shown."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from tork_celery.domain.document import Document, encode
from tork_celery.domain.logs import LogPart
from tork_celery.domain.model import Job, Task
from tork_celery.domain.redaction import redact_document
from tork_celery.domain.states import JobState, TaskState
from tork_celery.services.view import NodeView, Page, QueueView

T = TypeVar("T")

OK: Document = {"status": "OK"}
"""The answer to what was done and has nothing to show."""


def log_part(part: LogPart) -> Document:
    return {
        "id": f"{part.task_id}-{part.number}",
        "number": part.number,
        "taskId": part.task_id,
        "contents": part.contents,
        "createdAt": time(part.created_at),
    }


def node(view: NodeView) -> Document:
    return without_empty(
        {
            "id": view.node.instance,
            "name": view.node.name,
            "hostname": view.node.hostname,
            "port": view.node.port,
            "startedAt": time(view.node.started_at),
            "cpuPercent": view.node.cpu_percent,
            "lastHeartbeatAt": time(view.node.heartbeat_at),
            "queue": ",".join(view.node.queues),
            "status": view.status,
            "taskCount": view.task_count,
            "version": view.node.version,
        }
    )


def queue(view: QueueView) -> Document:
    return {"name": view.name, "size": view.size, "subscribers": view.subscribers, "unacked": view.unacked}


def page(found: Page[T], item: Callable[[T], Document]) -> Document:
    return {
        "items": [item(each) for each in found.items],
        "number": found.number,
        "size": found.size,
        "totalPages": found.total_pages,
        "totalItems": found.total_items,
    }
