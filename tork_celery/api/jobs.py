"""Jobs and tasks: submit, read, their logs."""

from flask import Blueprint, request

from tork_celery import spec
from tork_celery.api import documents
from tork_celery.api.context import Api
from tork_celery.api.requests import body, page
from tork_celery.domain.document import Document
from tork_celery.services import submit, view

LOG_PARTS_PER_PAGE = 10
MOST_LOG_PARTS = 100


def routes(api: Api) -> Blueprint:
    blueprint = Blueprint("jobs", __name__)

    def submitted() -> tuple[bytes, str]:
        return body(request, limit_bytes=api.body_limit_bytes), request.content_type or ""

    @blueprint.post("/task")
    @blueprint.post("/tasks")
    def submit_task() -> Document:
        definition = spec.parse_task(*submitted(), image_required=api.image_required)
        _, task = submit.submit(api.coordinator, spec.job_of(definition))
        return documents.task(task)

    @blueprint.get("/task/<task_id>")
    @blueprint.get("/tasks/<task_id>")
    def get_task(task_id: str) -> Document:
        return documents.task(view.task(api.coordinator, task_id))

    @blueprint.get("/task/<task_id>/log")
    @blueprint.get("/tasks/<task_id>/log")
    def get_task_log(task_id: str) -> Document:
        number, size = page(request, size=LOG_PARTS_PER_PAGE, most=MOST_LOG_PARTS)
        found = view.task_log(api.coordinator, task_id, number=number, size=size)
        return documents.page(found, documents.log_part)

    @blueprint.post("/jobs")
    def submit_job() -> Document:
        definition = spec.parse_job(*submitted(), image_required=api.image_required)
        job, _ = submit.submit(api.coordinator, definition)
        return documents.job_summary(job)

    @blueprint.get("/jobs")
    def get_jobs() -> Document:
        number, size = page(request)
        return documents.page(view.job_page(api.coordinator, number=number, size=size), documents.job_summary)

    @blueprint.get("/jobs/<job_id>")
    def get_job(job_id: str) -> Document:
        return documents.job(*view.job(api.coordinator, job_id))

    @blueprint.get("/jobs/<job_id>/log")
    def get_job_log(job_id: str) -> Document:
        number, size = page(request, size=LOG_PARTS_PER_PAGE, most=MOST_LOG_PARTS)
        found = view.job_log(api.coordinator, job_id, number=number, size=size)
        return documents.page(found, documents.log_part)

    return blueprint
