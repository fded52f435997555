"""Response bodies. `domain.serializers` has those of jobs and tasks, since webhooks send them too."""

from collections.abc import Callable, Collection, Mapping, Sequence
from enum import StrEnum
from typing import Any, TypeVar, cast

import msgspec
from flask.json.provider import DefaultJSONProvider
from msgspec import UNSET

from tork_celery.api import response_schemas as schemas
from tork_celery.domain.audit import AuditEntry
from tork_celery.domain.codec import Document
from tork_celery.domain.errors import Fault
from tork_celery.domain.explanation import Facts, cause_of, since
from tork_celery.domain.logs import LogPart
from tork_celery.domain.masking import Mask, MaskedValues, job_values, task_values
from tork_celery.domain.model import Job
from tork_celery.domain.response_fields import Creator, Fields
from tork_celery.domain.run_again import RunAgain
from tork_celery.domain.serializers import (
    job,
    job_summary,
    scheduled_job,
    scheduled_job_summary,
    task,
    time,
)
from tork_celery.domain.user import User
from tork_celery.services.queries import Metrics, NodeView, Page
from tork_celery.services.queues import QueueView
from tork_celery.settings_report import Setting

__all__ = [
    "OK",
    "JsonProvider",
    "audit_entry",
    "error",
    "explanation",
    "faults",
    "health",
    "job",
    "job_summary",
    "log_part",
    "metrics",
    "node",
    "page",
    "queue",
    "restart_plan",
    "scheduled_job",
    "scheduled_job_summary",
    "setting",
    "task",
    "user",
]

T = TypeVar("T")


class JsonProvider(DefaultJSONProvider):
    """Encodes responses with msgspec. The fields keep their order."""

    def dumps(self, obj: Any, **_: Any) -> str:
        return msgspec.json.encode(obj).decode()


def log_part(part: LogPart) -> Document:
    return _encode(
        schemas.LogPart(
            id=f"{part.task_id}-{part.number}",
            number=part.number,
            task_id=part.task_id,
            step=part.step,
            step_name=part.step_name or UNSET,
            line=part.line,
            source=part.source,
            contents=part.contents,
            stderr=part.stderr,
            created_at=time(part.created_at),
            times=UNSET if (times := part.times_ms) is None else times,
        )
    )


def explanation(facts: Facts, job_values: Collection[str]) -> Document:
    """Return why a task waits. `job_values` has the values of its job to mask."""
    values = MaskedValues(job_values).with_values(task_values(facts.task.definition))
    mask = values.masker().mask
    cause = cause_of(facts)
    return _encode(
        schemas.Explanation(
            state=facts.task.state,
            reason=mask(cause.reason),
            since=time(since(facts)),
            details={"cause": cause.name, **_details(cause.details, mask)},
            segments=tuple(
                schemas.Segment(
                    kind=segment.kind,
                    start=time(segment.start),
                    end=time(segment.end),
                    reason=mask(segment.reason),
                )
                for segment in facts.segments
            ),
        )
    )


def _details(details: Mapping[str, Any], mask: Mask) -> Document:
    """Return the details of a cause as `domain.explanation` describes them, with texts masked."""

    def shown(key: str, value: Any) -> Any:
        if isinstance(value, list):
            return [shown("", item) for item in value]
        if isinstance(value, float) and key.endswith("At"):
            return time(value)
        return mask(value) if isinstance(value, str) and not isinstance(value, StrEnum) else value

    return {key: shown(key, value) for key, value in details.items() if value is not None}


def node(view: NodeView) -> Document:
    node = view.node
    return _encode(
        schemas.Node(
            id=node.instance,
            name=node.name,
            hostname=node.hostname,
            port=node.port or UNSET,
            started_at=time(node.started_at),
            last_heartbeat_at=time(node.heartbeat_at),
            queue=",".join(node.queues) or UNSET,
            status=view.status,
            version=node.version,
            cpu_percent=node.cpu_percent,
            task_count=view.task_count,
        )
    )


def queue(view: QueueView) -> Document:
    return _encode(
        schemas.Queue(
            name=view.name,
            size=view.queued_tasks,
            subscribers=view.live_nodes,
            unacked=view.running_tasks,
        )
    )


def metrics(metrics: Metrics) -> Document:
    return _encode(
        schemas.Metrics(
            jobs=schemas.Running(running=metrics.running_jobs),
            tasks=schemas.Running(running=sum(metrics.running_tasks.values())),
            nodes=schemas.OnlineNodes(online=metrics.online_nodes, cpu_percent=metrics.cpu_percent),
        )
    )


def health(down: Mapping[str, str]) -> Document:
    """Return the health of the system. `down` has the error of each unavailable part, by name."""
    return _encode(schemas.Health(status="DOWN", down=dict(down)) if down else schemas.Health(status="UP"))


def setting(setting: Setting) -> Document:
    return _encode(schemas.Setting(name=setting.name, value=setting.value, source=setting.source))


def faults(faults: Sequence[Fault]) -> Document:
    """Return the faults of a job file."""
    return _encode(schemas.Validation(valid=not faults, faults=tuple(map(_fault, faults))))


def _fault(fault: Fault) -> schemas.FileFault:
    return schemas.FileFault(
        path=fault.path,
        message=fault.message,
        line=UNSET if fault.line is None else fault.line,
        column=UNSET if fault.column is None else fault.column,
    )


def user(user: User, *, key: str | None = None) -> Document:
    return _encode(
        schemas.UserResponse(
            username=user.username,
            name=user.name,
            created_at=time(user.created_at),
            created_by=Creator(username=user.created_by) if user.created_by else UNSET,
            roles=tuple(sorted(user.roles)) or UNSET,
            disabled=user.disabled or UNSET,
            key=key or UNSET,
        )
    )


def audit_entry(entry: AuditEntry) -> Document:
    return _encode(
        schemas.AuditEntry(
            id=entry.id,
            created_at=time(entry.created_at),
            action=entry.action,
            target=entry.target,
            username=entry.actor.username or UNSET,
            address=entry.actor.address or UNSET,
            detail=entry.detail or UNSET,
        )
    )


def error(message: str, *, jobs: tuple[str, ...] = ()) -> Document:
    return _encode(schemas.Error(message=message, jobs=jobs or UNSET))


def page(page: Page[T], item: Callable[[T], Document]) -> Document:
    fields = schemas.PageFields(
        number=page.number,
        size=len(page.items),
        total_pages=page.total_pages,
        total_items=page.total_items,
    )
    return {"items": [item(each) for each in page.items]} | _encode(fields)


def restart_plan(job: Job, again: RunAgain) -> Document:
    mask = MaskedValues(job_values(job.definition)).mask

    def planned(indexes: Collection[int]) -> tuple[schemas.PlannedTask, ...]:
        names = ((index + 1, job.definition.tasks[index].name) for index in sorted(indexes))
        return tuple(
            schemas.PlannedTask(position=position, name=mask(name or "")) for position, name in names
        )

    return _encode(schemas.RestartPlan(runs=planned(again.indexes), keeps=planned(again.kept)))


def _encode(fields: Fields) -> Document:
    return cast(Document, msgspec.to_builtins(fields))


OK = _encode(schemas.Ok())
"""The response of a route that has nothing to return."""
