"""The list of jobs, and actions on several of them."""

from collections.abc import Callable
from http import HTTPStatus

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from tork_celery.api.authentication import current_actor, current_user
from tork_celery.api.context import ApiContext
from tork_celery.api.request_parsing import parse_page, parse_search_text
from tork_celery.domain import search
from tork_celery.domain.errors import InvalidInput, TorkError
from tork_celery.domain.model import ListedJob
from tork_celery.domain.serializers import job_summary
from tork_celery.domain.states import JobState
from tork_celery.services import job_control, permissions, queries
from tork_celery.web import notices, timeline

_PAGE_SIZE = 20
_ACTIONS: dict[str, tuple[str, Callable[..., None]]] = {
    "cancel": ("cancelled", job_control.cancel),
    "restart": ("restarted", job_control.restart),
    "delete": ("deleted", job_control.delete),
}


def add_routes(pages: Blueprint, api: ApiContext) -> None:
    @pages.get("", strict_slashes=False)
    def list_jobs() -> ResponseReturnValue:
        text, state = parse_search_text(request), request.args.get("state", "")
        number, _ = parse_page(request)
        try:
            query = search.parse(f"{text} status:{state}" if state else text)
        except InvalidInput as error:
            return _page(state=state, text=text, fault=str(error)), HTTPStatus.BAD_REQUEST
        found = queries.job_page(api.services, query, number=number, size=_PAGE_SIZE, viewer=current_user())
        now = api.services.database.current_time()
        longest_s = max((_length_s(job, now) for job in found.items), default=0.0)
        rows = [
            (job, job_summary(job), timeline.job_bars(job, longest_s=longest_s, now=now))
            for job in found.items
        ]
        return _page(state=state, text=text, rows=rows, found=found, now=now)

    @pages.post("/jobs/actions")
    def act_on_jobs() -> ResponseReturnValue:
        done, act = _ACTIONS.get(request.form.get("action", ""), ("", None))
        ids = request.form.getlist("id")
        if act is None or not ids:
            raise InvalidInput("select jobs, and what to do with them")
        errors = []
        for job_id in ids[:1000]:
            try:
                permissions.check_job(api.services.database, current_user(), job_id)
                act(api.services, job_id, actor=current_actor())
            except TorkError as error:
                errors.append(str(error))
        number = len(ids) - len(errors)
        text = f"{number} {'job was' if number == 1 else 'jobs were'} {done}."
        if errors:
            text += f" {len(errors)} failed: {errors[0]}"
        gone = done == "deleted" and len(ids) == 1 and not errors and request.form.get("gone")
        return notices.redirect_with(text, failed=bool(errors), to="/ui" if gone else None)


def _page(**values: object) -> str:
    return render_template("jobs.html", states=list(JobState), **values)


def _length_s(job: ListedJob, now: float) -> float:
    return (job.ended_at or now) - job.created_at
