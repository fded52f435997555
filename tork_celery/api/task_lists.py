"""Routes that list tasks."""

from flask import Blueprint, request

from tork_celery.api import responses
from tork_celery.api.authentication import current_user
from tork_celery.api.context import ApiContext
from tork_celery.api.filters import parse_task_filter, parse_task_state, parse_text
from tork_celery.api.request_parsing import MAX_LIST_SIZE, parse_page
from tork_celery.domain.codec import Document
from tork_celery.services import queries


def routes(api: ApiContext) -> Blueprint:
    blueprint = Blueprint("task_lists", __name__)

    @blueprint.get("/tasks")
    def get_tasks() -> Document:
        number, size = parse_page(request, max_size=MAX_LIST_SIZE)
        wanted = parse_task_filter(request)
        task_page = queries.task_page(api.services, wanted, number=number, size=size, viewer=current_user())
        return responses.page(task_page, lambda item: responses.task(*item))

    @blueprint.get("/jobs/<job_id>/tasks")
    def get_tasks_of_job(job_id: str) -> Document:
        number, size = parse_page(request, max_size=MAX_LIST_SIZE)
        parent, state = parse_text(request, "parent"), parse_task_state(request)
        task_page = queries.tasks_of_job(
            api.services, job_id, parent=parent, state=state, number=number, size=size
        )
        return responses.page(task_page, lambda item: responses.task(*item))

    return blueprint
