"""What the API answers, as JSON Schema: the description of `api.documents` and `domain.summaries`."""

from enum import StrEnum

from tork_celery.domain.codec import Document
from tork_celery.domain.node import NodeStatus
from tork_celery.domain.scheduled_job import ScheduleState
from tork_celery.domain.states import JobState, TaskState

TEXT: Document = {"type": "string"}
WHOLE: Document = {"type": "integer", "minimum": 0}
NUMBER: Document = {"type": "number"}
TIME: Document = {"type": "string", "format": "date-time"}
TEXTS: Document = {"type": "array", "items": TEXT}
BY_NAME: Document = {"type": "object", "additionalProperties": TEXT}
PART: Document = {"type": "object"}
PARTS: Document = {"type": "array", "items": PART}


def ref(name: str) -> Document:
    return {"$ref": f"#/components/schemas/{name}"}


def list_of(item: Document) -> Document:
    return {"type": "array", "items": item}


def one_of(values: type[StrEnum]) -> Document:
    return {"type": "string", "enum": [str(value) for value in values]}


def thing(required: dict[str, Document], may_be_left_out: dict[str, Document] | None = None) -> Document:
    """An object with these keys and no others."""
    properties = required | (may_be_left_out or {})
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


def page_of(name: str) -> Document:
    """`totalItems` counts at most 10,000 of a search for words."""
    return thing(
        {
            "items": list_of(ref(name)),
            "number": WHOLE,
            "size": WHOLE,
            "totalPages": WHOLE,
            "totalItems": WHOLE,
        }
    )


_SUMMARY_ALWAYS = {"id": TEXT, "name": TEXT, "state": one_of(JobState), "createdAt": TIME, "position": WHOLE}
_SUMMARY = {
    "createdBy": thing({"username": TEXT}),
    "parentId": TEXT,
    "inputs": BY_NAME,
    "description": TEXT,
    "tags": TEXTS,
    "startedAt": TIME,
    "completedAt": TIME,
    "failedAt": TIME,
    "taskCount": WHOLE,
    "result": TEXT,
    "error": TEXT,
    "progress": NUMBER,
    "schedule": PART,
}
_GIVEN = {
    "output": TEXT,
    "defaults": PART,
    "webhooks": PARTS,
    "permissions": PARTS,
    "autoDelete": PART,
    "secrets": BY_NAME,
}
_SCHEDULED_ALWAYS = {
    "id": TEXT,
    "name": TEXT,
    "state": one_of(ScheduleState),
    "cron": TEXT,
    "schedule": thing({"id": TEXT, "cron": TEXT}),
    "createdAt": TIME,
}
_SCHEDULED = {
    "createdBy": thing({"username": TEXT}),
    "description": TEXT,
    "tags": TEXTS,
    "inputs": BY_NAME,
    "nextRunAt": TIME,
}
_TASK = {
    "parentId": TEXT,
    "name": TEXT,
    "description": TEXT,
    "scheduledAt": TIME,
    "startedAt": TIME,
    "completedAt": TIME,
    "failedAt": TIME,
    "cmd": TEXTS,
    "entrypoint": TEXTS,
    "run": TEXT,
    "image": TEXT,
    "registry": PART,
    "env": BY_NAME,
    "files": BY_NAME,
    "queue": TEXT,
    "redelivered": WHOLE,
    "error": TEXT,
    "pre": PARTS,
    "post": PARTS,
    "sidecars": PARTS,
    "mounts": PARTS,
    "volumes": TEXTS,
    "networks": TEXTS,
    "nodeId": TEXT,
    "retry": PART,
    "limits": PART,
    "timeout": TEXT,
    "result": TEXT,
    "var": TEXT,
    "if": TEXT,
    "parallel": PART,
    "each": PART,
    "subjob": PART,
    "gpus": TEXT,
    "tags": TEXTS,
    "workdir": TEXT,
    "priority": {"type": ["integer", "string"]},
    "progress": NUMBER,
}
_NODE = {
    "port": WHOLE,
    "queue": TEXT,
}

SCHEMAS: dict[str, Document] = {
    "Error": thing({"message": TEXT}),
    "Ok": thing({"status": {"const": "OK"}}),
    "JobSummary": thing(_SUMMARY_ALWAYS, _SUMMARY),
    "JobAnswer": thing(
        _SUMMARY_ALWAYS | {"tasks": PARTS, "execution": list_of(ref("TaskAnswer")), "context": PART},
        _SUMMARY | _GIVEN | {"deleteAt": TIME},
    ),
    "TaskAnswer": thing(
        {"id": TEXT, "jobId": TEXT, "position": WHOLE, "state": one_of(TaskState), "createdAt": TIME}, _TASK
    ),
    "LogPart": thing({"id": TEXT, "number": WHOLE, "taskId": TEXT, "contents": TEXT, "createdAt": TIME}),
    "JobPage": page_of("JobSummary"),
    "LogPage": page_of("LogPart"),
    "ScheduledJobSummary": thing(_SCHEDULED_ALWAYS, _SCHEDULED),
    "ScheduledJobAnswer": thing(_SCHEDULED_ALWAYS | {"tasks": PARTS}, _SCHEDULED | _GIVEN),
    "ScheduledJobPage": page_of("ScheduledJobSummary"),
    "Node": thing(
        {
            "id": TEXT,
            "name": TEXT,
            "hostname": TEXT,
            "startedAt": TIME,
            "cpuPercent": NUMBER,
            "lastHeartbeatAt": TIME,
            "status": one_of(NodeStatus),
            "taskCount": WHOLE,
            "version": TEXT,
        },
        _NODE,
    ),
    "Queue": thing({"name": TEXT, "size": WHOLE, "subscribers": WHOLE, "unacked": WHOLE}),
    "Metrics": thing(
        {
            "jobs": thing({"running": WHOLE}),
            "tasks": thing({"running": WHOLE}),
            "nodes": thing({"online": WHOLE, "cpuPercent": NUMBER}),
        }
    ),
    "Health": thing({"status": {"enum": ["UP", "DOWN"]}}, {"down": BY_NAME}),
    "UserAnswer": thing({"username": TEXT, "name": TEXT, "createdAt": TIME}),
}
