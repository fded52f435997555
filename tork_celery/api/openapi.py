"""The API's own description, OpenAPI 3.1: bodies by the shapes that check them, answers by `api.answers`."""

import json
import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, cast

from tork_celery import jobfile
from tork_celery.api.response_schemas import SCHEMAS, TEXT, list_of, ref
from tork_celery.api.user_schema import UserSchema
from tork_celery.domain.codec import Document
from tork_celery.domain.search import LONGEST_QUERY
from tork_celery.jobfile import json_schema

_JSON = "application/json"
_PAGE, _LOG_PAGE = ("page", "size", "q"), ("page", "log_size", "q")


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """`body` and `answer` are names of schemas; `also` are further answers by status. Without a body a
    route takes none; where a `path` has a variable it may also answer 404."""

    method: str
    path: str
    summary: str
    answer: Document
    body: str | None = None
    query: tuple[str, ...] = ()
    also: tuple[tuple[int, Document], ...] = ()
    media_types: tuple[str, ...] = (_JSON,)


_WAITED = {"anyOf": [ref("JobSummary"), ref("JobAnswer")]}
_DOWN = ((503, ref("Health")),)


def _get(path: str, summary: str, answer: Document, **options: Any) -> Route:
    return Route(method="get", path=path, summary=summary, answer=answer, **options)


def _put(path: str, summary: str) -> Route:
    return Route(method="put", path=path, summary=summary, answer=ref("Ok"), also=((400, ref("Error")),))


def _delete(path: str, summary: str) -> Route:
    return Route(method="delete", path=path, summary=summary, answer=ref("Ok"), also=((400, ref("Error")),))


def _post(path: str, summary: str, body: str, answer: Document, **options: Any) -> Route:
    return Route(method="post", path=path, summary=summary, body=body, answer=answer, **options)


def _both(path: str) -> tuple[str, str]:
    """Routes of tasks have two names."""
    return path, path.replace("/tasks", "/task", 1)


ROUTES = (
    *(_post(path, "Submit one task", "Task", ref("TaskAnswer")) for path in _both("/tasks")),
    *(_get(path, "A task", ref("TaskAnswer")) for path in _both("/tasks/{task_id}")),
    *(_put(path, "Cancel a task, and its job") for path in _both("/tasks/{task_id}/cancel")),
    *(
        _get(path, "The log of a task", ref("LogPage"), query=_LOG_PAGE)
        for path in _both("/tasks/{task_id}/log")
    ),
    _post(
        "/jobs",
        "Submit a job; with `wait`, answers the whole job when it has ended",
        "Job",
        _WAITED,
        also=((408, ref("Error")),),
    ),
    _get("/jobs", "Jobs, the newest first", ref("JobPage"), query=_PAGE),
    _get("/jobs/{job_id}", "A whole job", ref("JobAnswer")),
    _get("/jobs/{job_id}/log", "The log of all tasks of a job", ref("LogPage"), query=_LOG_PAGE),
    _put("/jobs/{job_id}/cancel", "Cancel a job"),
    _put("/jobs/{job_id}/restart", "Let a job go on from where it stopped"),
    _delete("/jobs/{job_id}", "Remove a job that has ended"),
    _post("/scheduled-jobs", "Schedule a job", "ScheduledJob", ref("ScheduledJobSummary")),
    _get(
        "/scheduled-jobs",
        "Scheduled jobs, the newest first",
        ref("ScheduledJobPage"),
        query=("page", "size"),
    ),
    _get("/scheduled-jobs/{schedule_id}", "A whole scheduled job", ref("ScheduledJobAnswer")),
    _put("/scheduled-jobs/{schedule_id}/pause", "Let it make no more jobs for now"),
    _put("/scheduled-jobs/{schedule_id}/resume", "Let it make jobs again"),
    _delete("/scheduled-jobs/{schedule_id}", "Remove a scheduled job"),
    _get("/nodes", "The workers and coordinators", list_of(ref("Node"))),
    _get("/queues", "The queues", list_of(ref("Queue"))),
    _get("/queues/{name}", "A queue", ref("Queue")),
    _delete("/queues/{name}", "Remove a queue's messages; tasks that wait are sent again"),
    _get(
        "/metrics",
        "How busy the system is",
        ref("Metrics"),
        media_types=(_JSON, "text/plain", "application/openmetrics-text"),
    ),
    _get("/health", "Whether the system is well", ref("Health"), also=_DOWN),
    _post("/users", "Add a user", "User", ref("UserAnswer")),
    _get("/openapi.json", "This description", {"type": "object"}),
    _get("/docs", "This description, to read", TEXT, media_types=("text/html",)),
    _get("/schema/job.json", "The JSON Schema of job files", {"type": "object"}),
)

_PARAMETERS: dict[str, Document] = {
    "page": {"name": "page", "schema": {"type": "integer", "minimum": 1, "maximum": 10**9, "default": 1}},
    "size": {"name": "size", "schema": {"type": "integer", "minimum": 1, "maximum": 20, "default": 10}},
    "log_size": {"name": "size", "schema": {"type": "integer", "minimum": 1, "maximum": 100, "default": 25}},
    "q": {"name": "q", "schema": {"type": "string", "maxLength": LONGEST_QUERY}},
}


def description(version: str, *, image_required: bool) -> Document:
    """The whole document."""
    paths: dict[str, Document] = {}
    for route in ROUTES:
        paths.setdefault(route.path, {})[route.method] = _operation(route)
    whole = {
        "openapi": "3.1.0",
        "info": {"title": "tork_celery", "version": version},
        "paths": paths,
        "components": {
            "schemas": json_schema.definitions(image_required=image_required)
            | {"User": json_schema.of_schema(UserSchema)}
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
        "responses": _answers(route),
    }
    parameters = [_PARAMETERS[name] | {"in": "query"} for name in route.query]
    parameters += [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        for name in re.findall(r"{(\w+)}", route.path)
    ]
    if parameters:
        operation["parameters"] = parameters
    if route.body:
        schema = {"schema": ref(route.body)}
        content = dict.fromkeys(jobfile.MEDIA_TYPES, schema)
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _answers(route: Route) -> Document:
    faults = [503]
    faults += [400, 413] if route.body else [400] if route.query else []
    faults += [404] if "{" in route.path else []
    answers = dict.fromkeys(faults, ref("Error")) | dict(route.also)
    described = {str(status): _answer(HTTPStatus(status), schema) for status, schema in answers.items()}
    named = {
        name: {"schema": TEXT if name.startswith(("text/", "application/open")) else route.answer}
        for name in route.media_types
    }
    described["200"] = {"description": "OK", "content": named}
    return described | {"401": _answer(HTTPStatus.UNAUTHORIZED, ref("Error"))}


def _answer(status: HTTPStatus, schema: Document) -> Document:
    return {"description": status.phrase, "content": {_JSON: {"schema": schema}}}
