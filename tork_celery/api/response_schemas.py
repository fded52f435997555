"""Declarations of response bodies, and their JSON Schema for the description of the API.

Responses about jobs, tasks and scheduled jobs have fields of `domain.response_fields` and job-file keys.
"""

from collections.abc import Collection, Sequence
from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from tork_celery.domain.audit import Action
from tork_celery.domain.codec import Document
from tork_celery.domain.logs import LogSource
from tork_celery.domain.node import NodeStatus
from tork_celery.domain.response_fields import (
    Count,
    Creator,
    Fields,
    JobDetails,
    JobSummary,
    ScheduledJobSummary,
    TaskRun,
    Time,
)
from tork_celery.domain.segments import SegmentKind
from tork_celery.domain.serializers import JOB_HIDDEN_KEYS, JOB_SUMMARY_KEYS
from tork_celery.domain.states import TaskState
from tork_celery.jobfile import json_schema
from tork_celery.jobfile.jobs import ScheduledJobSchema
from tork_celery.jobfile.mapping_schema import MappingSchema
from tork_celery.jobfile.tasks import TaskSchema

TEXT: Document = {"type": "string"}
_REFERENCE = "#/components/schemas/{name}"


class Error(Fields, frozen=True, kw_only=True):
    """An error. `jobs` are the ids of the jobs that stand in the way of a request."""

    message: str
    jobs: tuple[str, ...] | UnsetType = UNSET


class Ok(Fields, frozen=True, kw_only=True):
    status: Literal["OK"] = "OK"


class LogPart(Fields, frozen=True, kw_only=True):
    """A part of a log. `line` is the number, within step and delivery, of the line in which it begins.

    `stderr` has half-open ranges of code points of `contents`. `times` has the milliseconds after `createdAt`
    of each line that begins in the part; without it they are unknown.
    """

    id: str
    number: Count
    task_id: str
    step: Count
    step_name: str | UnsetType = UNSET
    line: Count
    source: LogSource
    contents: str
    stderr: Sequence[tuple[int, int]]
    created_at: Time
    times: Sequence[int] | UnsetType = UNSET


class PageFields(Fields, frozen=True, kw_only=True):
    """A page. In a search for words, `totalItems` is at most 10,000."""

    number: Count
    size: Count
    total_pages: Count
    total_items: Count


class Segment(Fields, frozen=True, kw_only=True):
    """A part of a task's time. The last one of an active task lasts until now."""

    kind: SegmentKind
    start: Time = msgspec.field(name="from")
    end: Time = msgspec.field(name="to")
    reason: str


class Explanation(Fields, frozen=True, kw_only=True):
    """What a task waits for, or does. `details` depend on their `cause`."""

    state: TaskState
    reason: str
    since: Time
    details: dict[str, Any]
    segments: tuple[Segment, ...]


class Node(Fields, frozen=True, kw_only=True):
    id: str
    name: str
    hostname: str
    started_at: Time
    cpu_percent: float
    last_heartbeat_at: Time
    status: NodeStatus
    task_count: Count
    version: str
    port: Count | UnsetType = UNSET
    queue: str | UnsetType = UNSET


class Queue(Fields, frozen=True, kw_only=True):
    name: str
    size: Count
    subscribers: Count
    unacked: Count


class Running(Fields, frozen=True, kw_only=True):
    running: Count


class OnlineNodes(Fields, frozen=True, kw_only=True):
    online: Count
    cpu_percent: float


class Metrics(Fields, frozen=True, kw_only=True):
    jobs: Running
    tasks: Running
    nodes: OnlineNodes


class Health(Fields, frozen=True, kw_only=True):
    status: Literal["UP", "DOWN"]
    down: dict[str, str] | UnsetType = UNSET


class UserResponse(Fields, frozen=True, kw_only=True):
    """A user. `key` is shown only in the response to the request that creates it."""

    username: str
    name: str
    created_at: Time
    created_by: Creator | UnsetType = UNSET
    roles: tuple[str, ...] | UnsetType = UNSET
    disabled: bool | UnsetType = UNSET
    key: str | UnsetType = UNSET


class Setting(Fields, frozen=True, kw_only=True):
    """A setting of the process that answers. Secrets in its value are masked."""

    name: str
    value: str
    source: str


class FileFault(Fields, frozen=True, kw_only=True):
    """A fault of a job file. JSON files have no lines."""

    path: str
    message: str
    line: Count | UnsetType = UNSET
    column: Count | UnsetType = UNSET


class Validation(Fields, frozen=True, kw_only=True):
    """The faults of a job file, 20 at most."""

    valid: bool
    faults: tuple[FileFault, ...]


class AuditEntry(Fields, frozen=True, kw_only=True):
    """A change by a user, or by anybody without authentication. `target` is an id or a name."""

    id: Count
    created_at: Time
    action: Action
    target: str
    username: str | UnsetType = UNSET
    address: str | UnsetType = UNSET
    detail: str | UnsetType = UNSET


class PlannedTask(Fields, frozen=True, kw_only=True):
    """A task of a job, as it is written in the definition. `position` counts from 1."""

    position: Count
    name: str


class RestartPlan(Fields, frozen=True, kw_only=True):
    """What a restart would run again, and the other tasks that are done."""

    runs: tuple[PlannedTask, ...]
    keeps: tuple[PlannedTask, ...]


def ref(name: str) -> Document:
    """Return a reference to a schema in the description of the API."""
    return {"$ref": _REFERENCE.format(name=name)}


def list_of(item: Document) -> Document:
    return {"type": "array", "items": item}


def _structs() -> dict[str, Document]:
    """Return the schemas of all structs, and of the enumerations in them, by name."""
    own = (
        Error,
        Ok,
        LogPart,
        Explanation,
        PageFields,
        Node,
        Queue,
        Metrics,
        Health,
        UserResponse,
        AuditEntry,
        Setting,
        Validation,
        RestartPlan,
    )
    _, components = msgspec.json.schema_components(
        (*own, JobSummary, JobDetails, TaskRun, ScheduledJobSummary), ref_template=_REFERENCE
    )
    for document in components.values():
        del document["title"]
        if "enum" in document:
            document.pop("description", None)  # the docstring of an enumeration is not for clients
    return components


def _keys(
    schema: type[MappingSchema], *, only: Collection[str] | None = None, required: Collection[str] = ()
) -> Document:
    """Return the object of a schema's keys in responses."""
    properties = json_schema.of_responses(schema)
    chosen = properties.keys() - JOB_HIDDEN_KEYS if only is None else only
    return {
        "properties": {key: document for key, document in properties.items() if key in chosen},
        "required": list(required),
    }


def _merged(description: str, *objects: Document) -> Document:
    """Return an object with the properties of all objects. In case of the same key, the last one wins."""
    return {
        "type": "object",
        "description": description,
        "properties": {key: value for part in objects for key, value in part["properties"].items()},
        "required": [key for part in objects for key in part["required"]],
        "additionalProperties": False,
    }


def _page_of(name: str, fields: Document) -> Document:
    items = {"properties": {"items": list_of(ref(name))}, "required": ["items"]}
    return _merged(fields["description"], items, fields)


def _schemas() -> dict[str, Document]:
    structs = _structs()
    page, details, run = (structs.pop(name) for name in ("PageFields", "JobDetails", "TaskRun"))
    summary, scheduled = structs["JobSummary"], structs["ScheduledJobSummary"]
    execution = {"properties": {"execution": list_of(ref("TaskResponse"))}, "required": ["execution"]}
    summary_keys = _keys(ScheduledJobSchema, only=JOB_SUMMARY_KEYS, required=["name"])
    job_keys = _keys(ScheduledJobSchema, required=["name", "tasks"])
    return structs | {
        "JobSummary": _merged(summary["description"], summary_keys, summary),
        "JobResponse": _merged("A whole job.", job_keys, summary, details, execution),
        "TaskResponse": _merged("A task and its last attempt.", _keys(TaskSchema), run),
        "ScheduledJobSummary": _merged(scheduled["description"], summary_keys, scheduled),
        "ScheduledJobResponse": _merged("A whole scheduled job.", job_keys, scheduled),
        "AuditPage": _page_of("AuditEntry", page),
        "JobPage": _page_of("JobSummary", page),
        "TaskPage": _page_of("TaskResponse", page),
        "LogPage": _page_of("LogPart", page),
        "ScheduledJobPage": _page_of("ScheduledJobSummary", page),
    }


SCHEMAS = _schemas()
"""JSON Schemas of all response bodies, by the name that `ref` takes."""
