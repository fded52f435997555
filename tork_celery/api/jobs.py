"""Routes of jobs and their logs."""

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue

from tork_celery import jobfile
from tork_celery.api import responses
from tork_celery.api.authentication import current_actor, current_user, current_username
from tork_celery.api.context import ApiContext
from tork_celery.api.filters import parse_job_filter
from tork_celery.api.front.waits import WAIT_KEY, JobWait
from tork_celery.api.idempotency import REPLAY_WAIT_S, once, respond
from tork_celery.api.request_parsing import (
    MAX_LIST_SIZE,
    parse_body,
    parse_log_page,
    parse_page,
    parse_restart,
    parse_search_text,
    prefers_async,
)
from tork_celery.api.text_log_responses import prefers_text, text_log
from tork_celery.domain import durations, search
from tork_celery.domain.codec import Document
from tork_celery.domain.definition import JobDefinition
from tork_celery.domain.idempotency import AnswerTo
from tork_celery.domain.model import Job, Task
from tork_celery.services import job_control, queries, submit, text_logs


def routes(api: ApiContext) -> Blueprint:
    blueprint = Blueprint("jobs", __name__)

    @blueprint.post("/jobs")
    def submit_job() -> ResponseReturnValue:
        definition = parse_body(api, jobfile.parse_job, image_required=api.image_required)
        if definition.wait is None or prefers_async(request):
            return respond(*_submit(api, definition))
        timeout_s = min(durations.seconds(definition.wait.timeout), api.wait_max_s)
        return respond(*_submit_and_wait(api, definition, timeout_s=timeout_s))

    @blueprint.get("/jobs")
    def get_jobs() -> Document:
        number, size = parse_page(request, max_size=MAX_LIST_SIZE)
        query, wanted = search.parse(parse_search_text(request)), parse_job_filter(request)
        job_page = queries.job_page(
            api.services, query, wanted, number=number, size=size, viewer=current_user()
        )
        return responses.page(job_page, responses.job_summary)

    @blueprint.get("/jobs/<job_id>")
    def get_job(job_id: str) -> Document:
        return responses.job(*queries.job(api.services, job_id))

    @blueprint.put("/jobs/<job_id>/cancel")
    def cancel_job(job_id: str) -> Document:
        job_control.cancel(api.services, job_id, actor=current_actor())
        return responses.OK

    @blueprint.put("/jobs/<job_id>/restart")
    def restart_job(job_id: str) -> Document:
        from_task, only = parse_restart(request)
        job_control.restart(api.services, job_id, from_task=from_task, only=only, actor=current_actor())
        return responses.OK

    @blueprint.get("/jobs/<job_id>/restart")
    def get_restart_plan(job_id: str) -> Document:
        from_task, only = parse_restart(request)
        return responses.restart_plan(
            *job_control.restart_plan(api.services, job_id, from_task=from_task, only=only)
        )

    @blueprint.delete("/jobs/<job_id>")
    def delete_job(job_id: str) -> Document:
        job_control.delete(api.services, job_id, actor=current_actor())
        return responses.OK

    @blueprint.get("/jobs/<job_id>/log")
    def get_job_log(job_id: str) -> Document | Response:
        return _log(api, job_id)

    return blueprint


def _submit_and_wait(
    api: ApiContext, definition: JobDefinition, *, timeout_s: float
) -> tuple[Document, bool]:
    """Submit a job, and let the front wait for its end, whose response replaces this one."""
    release = api.wait_slots.take(current_username() or request.remote_addr or "")
    try:
        summary, replayed = _submit(api, definition)
    except BaseException:
        release()
        raise
    if replayed:
        timeout_s = min(timeout_s, REPLAY_WAIT_S)
    request.environ[WAIT_KEY].append(JobWait(summary["id"], timeout_s, release, replayed=replayed))
    return summary, replayed


def _submit(api: ApiContext, definition: JobDefinition) -> tuple[Document, bool]:
    """Return the summary of the submitted job, and whether an earlier request has submitted it."""

    def act(answer_to: AnswerTo[tuple[Job, Task]] | None) -> tuple[Job, Task]:
        return submit.submit(
            api.services,
            definition,
            created_by=current_username(),
            actor=current_actor(),
            answer_to=answer_to,
        )

    return once(api, act, lambda made: responses.job_summary(made[0]))


def _log(api: ApiContext, job_id: str) -> Document | Response:
    if prefers_text(request):
        return text_log(job_id, lambda options: text_logs.of_job(api.services, job_id, options))
    number, size = parse_log_page(request)
    text = parse_search_text(request)
    log_page = queries.job_log(api.services, job_id, number=number, size=size, text=text)
    return responses.page(log_page, responses.log_part)
