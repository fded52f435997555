"""The page of a task, the page of its log, and the parts of the log for the log view."""

import yaml
from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from tork_celery.api import responses
from tork_celery.api.authentication import current_actor
from tork_celery.api.context import ApiContext
from tork_celery.api.request_parsing import parse_log_page, parse_search_text
from tork_celery.domain import serializers
from tork_celery.domain.codec import Document
from tork_celery.services import job_control, job_tree, queries
from tork_celery.web import notices

_STATE_KEYS = frozenset(
    {
        "id", "jobId", "parentId", "position", "state", "createdAt", "scheduledAt", "startedAt",
        "completedAt", "failedAt", "nodeId", "redelivered", "result", "error", "progress",
    }
)  # fmt: skip
_TAIL_PARTS = 3


def add_routes(pages: Blueprint, api: ApiContext) -> None:
    @pages.get("/tasks/<task_id>")
    def show_task(task_id: str) -> ResponseReturnValue:
        return render_template("task.html", **_task(api, task_id))

    @pages.get("/tasks/<task_id>/log")
    def show_log(task_id: str) -> ResponseReturnValue:
        tail = queries.attempt_log(api.services, task_id, number=1, size=_TAIL_PARTS)
        text = "".join(part.contents for part in reversed(tail.items))
        return render_template("log.html", tail=text, **_task(api, task_id))

    @pages.get("/tasks/<task_id>/log.json")
    def log_parts(task_id: str) -> Document:
        number, size = parse_log_page(request)
        text = parse_search_text(request)
        log_page = queries.attempt_log(api.services, task_id, number=number, size=size, text=text)
        return responses.page(log_page, responses.log_part)

    @pages.post("/tasks/<task_id>/cancel")
    def cancel_task(task_id: str) -> ResponseReturnValue:
        job_control.cancel_task(api.services, task_id, actor=current_actor())
        return notices.redirect_with("The task and its job were cancelled.")


def _task(api: ApiContext, task_id: str) -> Document:
    task, attempts, values = job_tree.task_attempts(api.services, task_id)
    document = serializers.task(task, values)
    definition = {key: value for key, value in document.items() if key not in _STATE_KEYS}
    return {
        "task": task,
        "document": document,
        "attempts": attempts,
        "now": api.services.database.current_time(),
        "definition": yaml.safe_dump(definition, sort_keys=False, allow_unicode=True, width=100),
    }
