"""What the API answers: domain objects as JSON, camelCase, empty fields left out, nothing secret shown.

Those of jobs and tasks are in `domain.summaries`: webhooks send them, too.
"""

from collections.abc import Callable
from typing import TypeVar

from tork_celery.domain.codec import Document
from tork_celery.domain.logs import LogPart
from tork_celery.domain.serializers import (
    job,
    job_summary,
    scheduled_job,
    scheduled_job_summary,
    task,
    time,
    without_empty,
)
from tork_celery.domain.user import User
from tork_celery.services.queries import Metrics, NodeView, Page
from tork_celery.services.queues import QueueView

__all__ = [
    "OK",
    "job",
    "job_summary",
    "log_part",
    "metrics",
    "node",
    "page",
    "queue",
    "scheduled_job",
    "scheduled_job_summary",
    "task",
    "user",
]

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
            "lastHeartbeatAt": time(view.node.heartbeat_at),
            "queue": ",".join(view.node.queues),
            "status": view.status,
            "version": view.node.version,
        }
    ) | {"cpuPercent": view.node.cpu_percent, "taskCount": view.task_count}


def queue(view: QueueView) -> Document:
    return {
        "name": view.name,
        "size": view.queued_tasks,
        "subscribers": view.live_nodes,
        "unacked": view.running_tasks,
    }


def metrics(found: Metrics) -> Document:
    return {
        "jobs": {"running": found.running_jobs},
        "tasks": {"running": sum(found.running_tasks.values())},
        "nodes": {"online": found.online_nodes, "cpuPercent": found.cpu_percent},
    }


def user(found: User) -> Document:
    return {"username": found.username, "name": found.name, "createdAt": time(found.created_at)}


def page(found: Page[T], item: Callable[[T], Document]) -> Document:
    return {
        "items": [item(each) for each in found.items],
        "number": found.number,
        "size": len(found.items),
        "totalPages": found.total_pages,
        "totalItems": found.total_items,
    }
