"""The list of scheduled jobs."""

from collections.abc import Callable

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from tork_celery.api.authentication import current_actor, current_user
from tork_celery.api.context import ApiContext
from tork_celery.api.request_parsing import parse_page
from tork_celery.domain.errors import InvalidInput
from tork_celery.domain.serializers import scheduled_job_summary
from tork_celery.services import schedule_firing, schedules
from tork_celery.web import notices

_PAGE_SIZE = 50
_ACTIONS: dict[str, tuple[str, Callable[..., object]]] = {
    "run": ("A job of the schedule was submitted.", schedule_firing.fire_now),
    "pause": ("The schedule is paused.", schedules.pause),
    "resume": ("The schedule is active again.", schedules.resume),
    "delete": ("The schedule was deleted. Its jobs stay.", schedules.delete),
}


def add_routes(pages: Blueprint, api: ApiContext) -> None:
    @pages.get("/schedules")
    def list_schedules() -> ResponseReturnValue:
        number, _ = parse_page(request)
        found = schedules.page(api.services, number=number, size=_PAGE_SIZE, viewer=current_user())
        rows = [(each, scheduled_job_summary(each)) for each in found.items]
        return render_template("schedules.html", rows=rows, found=found)

    @pages.post("/schedules/<schedule_id>/<action>")
    def change_schedule(schedule_id: str, action: str) -> ResponseReturnValue:
        text, act = _ACTIONS.get(action, ("", None))
        if act is None:
            raise InvalidInput(f"{action[:40]!r} is not an action of a schedule")
        act(api.services, schedule_id, actor=current_actor())
        return notices.redirect_with(text)
