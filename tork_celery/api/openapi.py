"""The description of the API in OpenAPI 3.1: its routes, with the schemas of bodies and responses."""

import json
import re
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any, cast

from tork_celery import jobfile
from tork_celery.api.job_schemas import PrioritySchema, RerunSchema
from tork_celery.api.query_parameters import PARAMETERS
from tork_celery.api.response_schemas import SCHEMAS, TEXT, list_of, ref
from tork_celery.api.user_schema import UserChangeSchema, UserSchema
from tork_celery.domain.codec import Document
from tork_celery.domain.idempotency import LONGEST_KEY
from tork_celery.jobfile import json_schema

_JSON = "application/json"
_LOG_PAGE = ("page", "log_size", "q", "format", "step", "log_tail", "timestamps", "download")
_LOG_TYPES = (_JSON, "text/plain")
_RESTART = ("from", "only")


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A route.

    `body` is the name of the schema of its body, `response` the schema of its 200 response, and
    `other_responses` has further schemas by status. With `once`, it takes an Idempotency-Key. Every route
    may respond with 401, 429 and 503, and one whose `path` has a variable with 404.
    """

    method: str
    path: str
    summary: str
    response: Document
    body: str | None = None
    query: tuple[str, ...] = ()
    once: bool = False
    other_responses: tuple[tuple[HTTPStatus, Document | None], ...] = ()
    media_types: tuple[str, ...] = (_JSON,)


_SUBMITTED = {"anyOf": [ref("JobSummary"), ref("JobResponse")]}
_FORBIDDEN = ((HTTPStatus.FORBIDDEN, ref("Error")),)
_CONFLICT = ((HTTPStatus.CONFLICT, ref("Error")),)
_DOWN = ((HTTPStatus.SERVICE_UNAVAILABLE, ref("Health")),)


def _get(path: str, summary: str, response: Document, **options: Any) -> Route:
    return Route(method="get", path=path, summary=summary, response=response, **options)


def _put(path: str, summary: str, body: str | None = None, *, query: tuple[str, ...] = ()) -> Route:
    return replace(_action("put", path, summary, body), query=query)


def _delete(path: str, summary: str) -> Route:
    return _action("delete", path, summary)


def _action(method: str, path: str, summary: str, body: str | None = None) -> Route:
    errors = ((HTTPStatus.BAD_REQUEST, ref("Error")),)
    return Route(
        method=method, path=path, summary=summary, body=body, response=ref("Ok"), other_responses=errors
    )


def _post(path: str, summary: str, body: str, response: Document, **options: Any) -> Route:
    return Route(method="post", path=path, summary=summary, body=body, response=response, **options)


def _both(path: str) -> tuple[str, str]:
    """Return both paths of a route of tasks."""
    return path, path.replace("/tasks", "/task", 1)


ROUTES = (
    *(_post(path, "Submit one task", "Task", ref("TaskResponse"), once=True) for path in _both("/tasks")),
    _get(
        "/tasks",
        "List tasks, those of the newest jobs first",
        ref("TaskPage"),
        query=("page", "list_size", "id", "state", "queue", "job"),
    ),
    *(_get(path, "Get a task", ref("TaskResponse")) for path in _both("/tasks/{task_id}")),
    *(
        _get(path, "Explain what a task waits for, and what it waited for", ref("Explanation"))
        for path in _both("/tasks/{task_id}/explain")
    ),
    *(_put(path, "Cancel a task and its job") for path in _both("/tasks/{task_id}/cancel")),
    *(
        _put(path, "Change the priority of a waiting task", "Priority")
        for path in _both("/tasks/{task_id}/priority")
    ),
    *(
        _get(path, "Get the log of a task", ref("LogPage"), query=_LOG_PAGE, media_types=_LOG_TYPES)
        for path in _both("/tasks/{task_id}/log")
    ),
    _post(
        "/jobs",
        "Submit a job. With `wait`, the whole job is returned when it has ended",
        "Job",
        _SUBMITTED,
        once=True,
        other_responses=((HTTPStatus.REQUEST_TIMEOUT, ref("Error")),),
    ),
    _get(
        "/jobs",
        "List jobs, newest first",
        ref("JobPage"),
        query=("page", "list_size", "q", "id", "since", "until", "parent", "schedule"),
    ),
    _get("/jobs/{job_id}", "Get a job", ref("JobResponse")),
    _get(
        "/jobs/{job_id}/tasks",
        "List the tasks at the top level of a job, or below a composite, in their order",
        ref("TaskPage"),
        query=("page", "list_size", "parent", "state"),
    ),
    _get(
        "/jobs/{job_id}/log",
        "Get the log of all tasks of a job",
        ref("LogPage"),
        query=_LOG_PAGE,
        media_types=_LOG_TYPES,
    ),
    _put("/jobs/{job_id}/cancel", "Cancel a job"),
    _put("/jobs/{job_id}/restart", "Run an ended job again, wholly or in part", query=_RESTART),
    _get("/jobs/{job_id}/restart", "Get what a restart would run", ref("RestartPlan"), query=_RESTART),
    _post(
        "/jobs/{job_id}/rerun",
        "Submit a new job of the same file",
        "Rerun",
        ref("JobSummary"),
        once=True,
        other_responses=_FORBIDDEN,
    ),
    _put("/jobs/{job_id}/priority", "Change the priority of the waiting tasks of a job", "Priority"),
    _delete("/jobs/{job_id}", "Delete an ended job"),
    _post("/scheduled-jobs", "Create a scheduled job", "ScheduledJob", ref("ScheduledJobSummary"), once=True),
    _get(
        "/scheduled-jobs",
        "List scheduled jobs, newest first",
        ref("ScheduledJobPage"),
        query=("page", "size"),
    ),
    _get("/scheduled-jobs/{schedule_id}", "Get a scheduled job", ref("ScheduledJobResponse")),
    _put("/scheduled-jobs/{schedule_id}/pause", "Pause a scheduled job"),
    _put("/scheduled-jobs/{schedule_id}/resume", "Resume a paused scheduled job"),
    Route(
        method="post",
        path="/scheduled-jobs/{schedule_id}/run",
        summary="Submit a job of a schedule now",
        response=ref("JobSummary"),
        other_responses=_CONFLICT,
    ),
    _delete("/scheduled-jobs/{schedule_id}", "Delete a scheduled job"),
    _get(
        "/events",
        "Follow jobs, tasks and logs as server-sent events",
        TEXT,
        query=("topic", "tail", "after"),
        media_types=("text/event-stream",),
        other_responses=((HTTPStatus.NOT_FOUND, ref("Error")), (HTTPStatus.NO_CONTENT, None)),
    ),
    _get("/nodes", "List nodes", list_of(ref("Node"))),
    _get("/queues", "List queues", list_of(ref("Queue"))),
    _get("/queues/{name}", "Get a queue", ref("Queue")),
    _delete("/queues/{name}", "Remove the messages of a queue. Waiting tasks are sent again"),
    _get(
        "/metrics",
        "Get metrics",
        ref("Metrics"),
        media_types=(_JSON, "text/plain", "application/openmetrics-text"),
    ),
    _get("/health", "Get the health of the system", ref("Health"), other_responses=_DOWN),
    _get("/health/live", "Get whether the process answers", ref("Health")),
    _get("/health/ready", "Get whether the API accepts jobs", ref("Health"), other_responses=_DOWN),
    _post("/users", "Add a user", "User", ref("UserResponse"), other_responses=_FORBIDDEN),
    _get("/users", "List users", list_of(ref("UserResponse")), other_responses=_FORBIDDEN),
    Route(
        method="put",
        path="/users/{name}",
        summary="Change a user; users may change their own password, name and key",
        body="UserChange",
        response=ref("UserResponse"),
        other_responses=_FORBIDDEN,
    ),
    _get(
        "/audit",
        "List changes by users, newest first",
        ref("AuditPage"),
        query=("page", "size"),
        other_responses=_FORBIDDEN,
    ),
    _get(
        "/config",
        "List the settings of the process that answers",
        list_of(ref("Setting")),
        other_responses=_FORBIDDEN,
    ),
    _post("/validate", "Check a job file of any kind. Nothing is stored", "Job", ref("Validation")),
    _get("/openapi.json", "Get this description", {"type": "object"}),
    _get("/docs", "Show this description as a page", TEXT, media_types=("text/html",)),
    _get("/schema/job.json", "Get the JSON Schema of job files", {"type": "object"}),
)

_IDEMPOTENCY_KEY: Document = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "A request that is sent again with the same key and body gets the first response again",
    "schema": {"type": "string", "minLength": 1, "maxLength": LONGEST_KEY},
}


def description(version: str, *, image_required: bool) -> Document:
    """Return the OpenAPI document."""
    paths: dict[str, Document] = {}
    for route in ROUTES:
        paths.setdefault(route.path, {})[route.method] = _operation(route)
    whole = {
        "openapi": "3.1.0",
        "info": {"title": "tork_celery", "version": version},
        "paths": paths,
        "components": {
            "schemas": json_schema.definitions(image_required=image_required)
            | {
                "User": json_schema.of_schema(UserSchema),
                "UserChange": json_schema.of_schema(UserChangeSchema),
                "Rerun": json_schema.of_schema(RerunSchema),
                "Priority": json_schema.of_schema(PrioritySchema),
            }
            | SCHEMAS,
            "securitySchemes": {
                "basic": {"type": "http", "scheme": "basic"},
                "key": {"type": "http", "scheme": "bearer"},
            },
        },
        "security": [{}, {"basic": []}, {"key": []}],
    }
    return cast(Document, json.loads(json.dumps(whole).replace("#/$defs/", "#/components/schemas/")))


def _operation(route: Route) -> Document:
    operation: Document = {
        "operationId": re.sub(r"\W+", "_", f"{route.method}{route.path}").strip("_"),
        "summary": route.summary,
        "responses": _responses(route),
    }
    parameters = [PARAMETERS[name] | {"in": "query"} for name in route.query]
    parameters += [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        for name in re.findall(r"{(\w+)}", route.path)
    ]
    if route.once:
        parameters.append(_IDEMPOTENCY_KEY)
    if parameters:
        operation["parameters"] = parameters
    if route.body:
        schema = {"schema": ref(route.body)}
        content = dict.fromkeys(jobfile.MEDIA_TYPES, schema)
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _responses(route: Route) -> Document:
    statuses = [HTTPStatus.UNAUTHORIZED, HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE]
    if route.body or route.query:
        statuses.append(HTTPStatus.BAD_REQUEST)
    if route.body:
        statuses.append(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    if route.once:
        statuses.append(HTTPStatus.CONFLICT)
    if "{" in route.path:
        statuses.append(HTTPStatus.NOT_FOUND)
    schemas: dict[HTTPStatus, Document | None] = dict.fromkeys(statuses, ref("Error"))
    schemas |= dict(route.other_responses)
    content = {
        name: {"schema": TEXT if name.startswith(("text/", "application/open")) else route.response}
        for name in route.media_types
    }
    errors = {str(int(status)): _response(status, schema) for status, schema in schemas.items()}
    return {"200": {"description": "OK", "content": content}} | errors


def _response(status: HTTPStatus, schema: Document | None) -> Document:
    if schema is None:
        return {"description": status.phrase}
    return {"description": status.phrase, "content": {_JSON: {"schema": schema}}}
