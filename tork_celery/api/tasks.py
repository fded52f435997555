"""Routes of tasks and their logs."""

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue

from tork_celery import jobfile
from tork_celery.api import responses
from tork_celery.api.authentication import current_actor, current_username
from tork_celery.api.context import ApiContext
from tork_celery.api.idempotency import once, respond
from tork_celery.api.request_parsing import parse_body, parse_log_page, parse_search_text
from tork_celery.api.text_log_responses import prefers_text, text_log
from tork_celery.domain.codec import Document
from tork_celery.domain.idempotency import AnswerTo
from tork_celery.domain.masking import job_values
from tork_celery.domain.model import Job, Task
from tork_celery.services import explain, job_control, queries, submit, text_logs


def routes(api: ApiContext) -> Blueprint:
    blueprint = Blueprint("tasks", __name__)

    @blueprint.post("/task")
    @blueprint.post("/tasks")
    def submit_task() -> ResponseReturnValue:
        definition = parse_body(api, jobfile.parse_task, image_required=api.image_required)

        def act(answer_to: AnswerTo[tuple[Job, Task]] | None) -> tuple[Job, Task]:
            return submit.submit(
                api.services,
                jobfile.job_of(definition),
                created_by=current_username(),
                actor=current_actor(),
                answer_to=answer_to,
            )

        return respond(*once(api, act, lambda made: responses.task(made[1], job_values(made[0].definition))))

    @blueprint.get("/task/<task_id>")
    @blueprint.get("/tasks/<task_id>")
    def get_task(task_id: str) -> Document:
        return responses.task(*queries.task(api.services, task_id))

    @blueprint.get("/task/<task_id>/explain")
    @blueprint.get("/tasks/<task_id>/explain")
    def explain_task(task_id: str) -> Document:
        return responses.explanation(*explain.facts(api.services, task_id))

    @blueprint.put("/task/<task_id>/cancel")
    @blueprint.put("/tasks/<task_id>/cancel")
    def cancel_task(task_id: str) -> Document:
        job_control.cancel_task(api.services, task_id, actor=current_actor())
        return responses.OK

    @blueprint.get("/task/<task_id>/log")
    @blueprint.get("/tasks/<task_id>/log")
    def get_task_log(task_id: str) -> Document | Response:
        if prefers_text(request):
            return text_log(task_id, lambda options: text_logs.of_task(api.services, task_id, options))
        number, size = parse_log_page(request)
        text = parse_search_text(request)
        log_page = queries.task_log(api.services, task_id, number=number, size=size, text=text)
        return responses.page(log_page, responses.log_part)

    return blueprint
