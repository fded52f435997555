"""Routes that run a job again as a new one, and that change the priority of what waits."""

from flask import Blueprint
from flask.typing import ResponseReturnValue

from tork_celery.api import responses
from tork_celery.api.authentication import current_actor, current_user
from tork_celery.api.context import ApiContext
from tork_celery.api.idempotency import once, respond
from tork_celery.api.job_schemas import parse_priority, parse_rerun
from tork_celery.api.request_parsing import parse_body
from tork_celery.domain.codec import Document
from tork_celery.domain.idempotency import AnswerTo
from tork_celery.domain.model import Job, Task
from tork_celery.domain.rerun import Rerun
from tork_celery.services import job_control, rerun


def routes(api: ApiContext) -> Blueprint:
    blueprint = Blueprint("job_actions", __name__)

    @blueprint.post("/jobs/<job_id>/rerun")
    def rerun_job(job_id: str) -> ResponseReturnValue:
        return respond(*_rerun(api, job_id, parse_body(api, parse_rerun)))

    @blueprint.put("/jobs/<job_id>/priority")
    def set_job_priority(job_id: str) -> Document:
        job_control.set_priority(api.services, job_id, parse_body(api, parse_priority), actor=current_actor())
        return responses.OK

    @blueprint.put("/task/<task_id>/priority")
    @blueprint.put("/tasks/<task_id>/priority")
    def set_task_priority(task_id: str) -> Document:
        priority = parse_body(api, parse_priority)
        job_control.set_task_priority(api.services, task_id, priority, actor=current_actor())
        return responses.OK

    return blueprint


def _rerun(api: ApiContext, job_id: str, change: Rerun) -> tuple[Document, bool]:
    def act(answer_to: AnswerTo[tuple[Job, Task]] | None) -> tuple[Job, Task]:
        return rerun.rerun_job(
            api.services,
            job_id,
            change,
            image_required=api.image_required,
            user=current_user(),
            actor=current_actor(),
            answer_to=answer_to,
        )

    return once(api, act, lambda made: responses.job_summary(made[0]))
