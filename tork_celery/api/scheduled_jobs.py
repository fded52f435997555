"""Scheduled jobs: make, read, pause, resume, remove."""

from flask import Blueprint, request

from tork_celery import jobfile
from tork_celery.api import responses
from tork_celery.api.authentication import user, username
from tork_celery.api.context import ApiContext
from tork_celery.api.request_parsing import page, submitted
from tork_celery.domain.codec import Document
from tork_celery.services import schedules


def routes(api: ApiContext) -> Blueprint:
    blueprint = Blueprint("scheduled_jobs", __name__, url_prefix="/scheduled-jobs")

    @blueprint.post("")
    def create_schedule() -> Document:
        definition = submitted(api, jobfile.parse_scheduled_job, image_required=api.image_required)
        made = schedules.create(api.services, definition, created_by=username())
        return responses.scheduled_job_summary(made)

    @blueprint.get("")
    def get_schedules() -> Document:
        number, size = page(request)
        found = schedules.page(api.services, number=number, size=size, viewer=user())
        return responses.page(found, responses.scheduled_job_summary)

    @blueprint.get("/<schedule_id>")
    def get_schedule(schedule_id: str) -> Document:
        return responses.scheduled_job(schedules.get(api.services, schedule_id))

    @blueprint.put("/<schedule_id>/pause")
    def pause_schedule(schedule_id: str) -> Document:
        schedules.pause(api.services, schedule_id)
        return responses.OK

    @blueprint.put("/<schedule_id>/resume")
    def resume_schedule(schedule_id: str) -> Document:
        schedules.resume(api.services, schedule_id)
        return responses.OK

    @blueprint.delete("/<schedule_id>")
    def delete_schedule(schedule_id: str) -> Document:
        schedules.delete(api.services, schedule_id)
        return responses.OK

    return blueprint
