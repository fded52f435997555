"""The blueprint of all pages: its routes, headers, errors and what every template knows."""

from http import HTTPStatus
from typing import Any

from flask import Blueprint, Flask, Response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException

from tork_celery.api.authentication import PAGES, current_user
from tork_celery.api.context import ApiContext
from tork_celery.api.errors import status_of
from tork_celery.domain.errors import Forbidden, NotFound, TorkError, Unauthenticated
from tork_celery.web import csrf, formats, notices
from tork_celery.web.pages import (
    job,
    jobs,
    new_job,
    nodes,
    queues,
    schedules,
    sign_in,
    system,
    tasks,
    users,
)

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_MODULES = (jobs, job, tasks, new_job, schedules, queues, nodes, system, users, sign_in)


def add_pages(app: Flask, api: ApiContext) -> None:
    """Add the pages to the application of the API, whose authentication and access checks they share."""
    pages = Blueprint(
        PAGES,
        __name__,
        url_prefix="/ui",
        template_folder="templates",
        static_folder="static",
    )
    _prepare(pages, api)
    for module in _MODULES:
        module.add_routes(pages, api)

    @pages.get("/<path:_path>")
    def unknown_page(_path: str) -> ResponseReturnValue:
        raise NotFound("there is no such page")

    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.jinja_env.filters.update(formats.FILTERS)
    app.register_blueprint(pages)

    @app.get("/")
    def root() -> ResponseReturnValue:
        return redirect(url_for("ui.list_jobs"))


def _prepare(pages: Blueprint, api: ApiContext) -> None:
    """Add what all pages share."""

    @pages.before_request
    def prepare() -> None:
        request.max_form_memory_size = api.body_limit_bytes
        if request.method == "POST":
            csrf.check()

    @pages.after_request
    def add_headers(response: Response) -> Response:
        response.headers["Content-Security-Policy"] = _POLICY
        # Browsers send `Origin: null` with a form of a page without referrer, and the API rejects that.
        response.headers["Referrer-Policy"] = "same-origin"
        if response.status_code == HTTPStatus.OK and response.mimetype == "text/html":
            notices.forget(response)
        return csrf.set_cookie(response)

    @pages.context_processor
    def shared() -> dict[str, Any]:
        return {
            "authenticated": api.authenticator is not None,
            "csrf_token": csrf.token(),
            "notice": notices.current(),
            "user": current_user(),
            "version": api.version,
        }

    pages.register_error_handler(TorkError, _tork_error)
    pages.register_error_handler(HTTPException, _http_error)


def _tork_error(error: TorkError) -> ResponseReturnValue:
    status = status_of(error)
    if status is None:
        raise error
    if isinstance(error, Unauthenticated) and not _wants_json():
        next_page = request.full_path.rstrip("?") if request.method == "GET" else None
        return redirect(url_for("ui.sign_in", next=next_page), HTTPStatus.SEE_OTHER)
    if request.method == "POST" and "next" in request.form and not isinstance(error, Forbidden):
        return notices.redirect_with(str(error), failed=True)
    return _error_page(status, str(error))


def _http_error(error: HTTPException) -> ResponseReturnValue:
    return _error_page(HTTPStatus(error.code or 500), error.description or error.name)


def _error_page(status: HTTPStatus, message: str) -> ResponseReturnValue:
    if _wants_json():
        return {"message": message}, status
    return render_template("error.html", status=status, message=message), status


def _wants_json() -> bool:
    return request.accept_mimetypes.best == "application/json"
