"""Routes of scheduled jobs."""

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from tork_celery import jobfile
from tork_celery.api import responses
from tork_celery.api.authentication import current_actor, current_user, current_username
from tork_celery.api.context import ApiContext
from tork_celery.api.idempotency import once, respond
from tork_celery.api.request_parsing import parse_body, parse_page
from tork_celery.domain.codec import Document
from tork_celery.domain.idempotency import AnswerTo
from tork_celery.domain.scheduled_job import ScheduledJob
from tork_celery.services import schedule_firing, schedules


def routes(api: ApiContext) -> Blueprint:
    blueprint = Blueprint("scheduled_jobs", __name__, url_prefix="/scheduled-jobs")

    @blueprint.post("")
    def create_schedule() -> ResponseReturnValue:
        definition = parse_body(api, jobfile.parse_scheduled_job, image_required=api.image_required)

        def act(answer_to: AnswerTo[ScheduledJob] | None) -> ScheduledJob:
            return schedules.create(
                api.services,
                definition,
                created_by=current_username(),
                actor=current_actor(),
                answer_to=answer_to,
            )

        return respond(*once(api, act, responses.scheduled_job_summary))

    @blueprint.get("")
    def get_schedules() -> Document:
        number, size = parse_page(request)
        schedule_page = schedules.page(api.services, number=number, size=size, viewer=current_user())
        return responses.page(schedule_page, responses.scheduled_job_summary)

    @blueprint.get("/<schedule_id>")
    def get_schedule(schedule_id: str) -> Document:
        return responses.scheduled_job(schedules.get(api.services, schedule_id))

    @blueprint.put("/<schedule_id>/pause")
    def pause_schedule(schedule_id: str) -> Document:
        schedules.pause(api.services, schedule_id, actor=current_actor())
        return responses.OK

    @blueprint.put("/<schedule_id>/resume")
    def resume_schedule(schedule_id: str) -> Document:
        schedules.resume(api.services, schedule_id, actor=current_actor())
        return responses.OK

    @blueprint.post("/<schedule_id>/run")
    def run_schedule(schedule_id: str) -> Document:
        return responses.job_summary(
            schedule_firing.fire_now(api.services, schedule_id, actor=current_actor())
        )

    @blueprint.delete("/<schedule_id>")
    def delete_schedule(schedule_id: str) -> Document:
        schedules.delete(api.services, schedule_id, actor=current_actor())
        return responses.OK

    return blueprint
