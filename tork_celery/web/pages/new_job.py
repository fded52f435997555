"""The editor for new jobs: check as one types, then submit."""

from functools import cache
from http import HTTPStatus
from importlib.resources import files
from typing import Any

import yaml
from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from tork_celery import jobfile
from tork_celery.api.authentication import current_actor, current_user, current_username
from tork_celery.api.context import ApiContext
from tork_celery.domain import serializers
from tork_celery.domain.codec import Document
from tork_celery.domain.definition import JobDefinition
from tork_celery.domain.errors import BodyTooLarge, Fault, InvalidInput
from tork_celery.domain.model import Job
from tork_celery.domain.rerun import Rerun
from tork_celery.services import queries, rerun, schedules, submit

_YAML = "text/yaml"


def add_routes(pages: Blueprint, api: ApiContext) -> None:
    @pages.get("/new")
    def new_job() -> ResponseReturnValue:
        examples = _examples()
        chosen = request.args.get("example", next(iter(examples)))
        return _editor(examples.get(chosen, ""), chosen=chosen)

    @pages.post("/new")
    def submit_job() -> ResponseReturnValue:
        text = _submitted_text()
        scheduled = "schedule" in request.form
        try:
            definition = _parse(api, text, scheduled=scheduled)
            if scheduled:
                schedules.create(
                    api.services, definition, created_by=current_username(), actor=current_actor()
                )
                return redirect(url_for("ui.list_schedules"), HTTPStatus.SEE_OTHER)
            job, _ = submit.submit(
                api.services, definition, created_by=current_username(), actor=current_actor()
            )
        except (InvalidInput, BodyTooLarge) as error:
            return _editor(text, faults=_faults(error)), HTTPStatus.BAD_REQUEST
        return redirect(url_for("ui.show_job", job_id=job.id), HTTPStatus.SEE_OTHER)

    @pages.get("/jobs/<job_id>/edit")
    def edit_job(job_id: str) -> ResponseReturnValue:
        return _editor(job_file(queries.job(api.services, job_id)[0]), rerun_of=job_id)

    @pages.post("/jobs/<job_id>/rerun")
    def rerun_job(job_id: str) -> ResponseReturnValue:
        text = _submitted_text()
        try:
            job, _ = rerun.rerun_job(
                api.services,
                job_id,
                Rerun(file=text),
                image_required=api.image_required,
                user=current_user(),
                actor=current_actor(),
            )
        except (InvalidInput, BodyTooLarge) as error:
            return _editor(text, rerun_of=job_id, faults=_faults(error)), HTTPStatus.BAD_REQUEST
        return redirect(url_for("ui.show_job", job_id=job.id), HTTPStatus.SEE_OTHER)

    @pages.post("/validate")
    def validate() -> Document:
        text = request.get_data(as_text=True)
        try:
            definition = _parse(api, text, scheduled=False)
        except (InvalidInput, BodyTooLarge) as error:
            return {"faults": [_fault(each) for each in _faults(error)]}
        return {"faults": [], "inputs": list(definition.inputs), "tasks": len(definition.tasks)}


def _parse(api: ApiContext, text: str, *, scheduled: bool) -> JobDefinition:
    """Return the job in a file of a job or a task. Raises InvalidInput, BodyTooLarge."""
    body = text.encode("utf-8", "surrogatepass")
    limit_bytes, image_required = api.body_limit_bytes, api.image_required
    if scheduled:
        return jobfile.parse_scheduled_job(
            body, _YAML, limit_bytes=limit_bytes, image_required=image_required
        )
    return jobfile.parse_file(body, _YAML, limit_bytes=limit_bytes, image_required=image_required).job


def job_file(job: Job) -> str:
    """Return the file of a stored job in YAML. Secrets are masked, and comments are not kept."""
    document = jobfile.file_of(serializers.job(job, {}, ()))
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=100)


def _submitted_text() -> str:
    return request.form.get("file", "").replace("\r\n", "\n")


def _editor(text: str, **values: Any) -> str:
    return render_template("new_job.html", text=text, examples=list(_examples()), **values)


def _faults(error: InvalidInput | BodyTooLarge) -> tuple[Fault, ...]:
    return error.faults if isinstance(error, InvalidInput) else (Fault(path="", message=str(error)),)


def _fault(fault: Fault) -> Document:
    return {"path": fault.path, "message": fault.message, "line": fault.line, "column": fault.column}


@cache
def _examples() -> dict[str, str]:
    """Return the examples by name, in the order in which the page offers them."""
    folder = files("tork_celery.web") / "examples"
    found = sorted(folder.iterdir(), key=lambda file: file.name)
    return {file.name.partition("-")[2].removesuffix(".yaml"): file.read_text("utf-8") for file in found}
