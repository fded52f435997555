"""Authentication and access checks, which run before each view."""

from http import HTTPStatus

from flask import Flask, Response, g, request

from tork_celery.api.context import ApiContext
from tork_celery.domain.audit import Actor
from tork_celery.domain.errors import Forbidden, Unauthenticated
from tork_celery.domain.user import User
from tork_celery.services import permissions, sessions
from tork_celery.services.authentication import BASIC, KEY, Authenticator

PUBLIC_ROUTES = frozenset(
    {
        "/",
        "/health",
        "/health/live",
        "/health/ready",
        "/docs",
        "/openapi.json",
        "/schema/job.json",
        "/ui/sign-in",
        "/ui/static/<path:filename>",
    }
)
"""Routes without authentication. They show no stored data."""

PAGES = "ui"
"""Name of the blueprint of the web pages, which accept a session."""
_READ_BY_PAGES = frozenset({"/events", "/tasks/<task_id>/log", "/jobs/<job_id>/log"})
"""Routes of the API whose GET accepts a session as well."""

_CHALLENGES = {BASIC: 'Basic realm="tork", charset="UTF-8"', KEY: 'Bearer realm="tork"'}

_ACCESS_CHECKS = {
    "job_id": permissions.check_job,
    "task_id": permissions.check_task,
    "schedule_id": permissions.check_schedule,
}
"""The access check for each variable of a route."""


def authenticate(app: Flask, api: ApiContext) -> None:
    """Authenticate each request. Without an authenticator every request is allowed, and there is no current
    user."""
    authenticator = api.authenticator
    if authenticator is None:
        return

    @app.before_request
    def identify() -> None:
        # Browsers send preflight requests without credentials.
        if request.method != "OPTIONS" and not _is_public():
            g.user = _authenticated_user(authenticator)

    @app.after_request
    def challenge(response: Response) -> Response:
        # A browser with a session would ask for a password in a dialog of its own.
        if response.status_code == HTTPStatus.UNAUTHORIZED and not _accepts_session():
            for scheme in authenticator.schemes:
                response.headers.add("WWW-Authenticate", _CHALLENGES[scheme])
        return response


def check_access(app: Flask, api: ApiContext) -> None:
    """Answer 404 for jobs, tasks and schedules that the user may not see."""
    if api.authenticator is None:
        return

    @app.before_request
    def check() -> None:
        for name, id_ in (request.view_args or {}).items():
            if name in _ACCESS_CHECKS:
                _ACCESS_CHECKS[name](api.services.database, current_user(), id_)


def current_user() -> User | None:
    """Return the user who sent the request; None without authentication."""
    user: User | None = g.get("user")
    return user


def current_username() -> str | None:
    user = current_user()
    return None if user is None else user.username


def current_actor() -> Actor:
    """Return who sends the request, for the audit log."""
    return Actor(username=current_username(), address=request.remote_addr)


def require_admin() -> None:
    """Raise Forbidden unless the user is an admin. Without authentication, everybody is."""
    user = current_user()
    if user is not None and not user.is_admin:
        raise Forbidden("only users with the role `admin` may do this")


def _is_public() -> bool:
    return request.url_rule is not None and request.url_rule.rule in PUBLIC_ROUTES


def _accepts_session() -> bool:
    """Return whether the request has a session, on a route that accepts one."""
    if sessions.COOKIE not in request.cookies:
        return False
    if request.blueprint == PAGES:
        return True
    rule = request.url_rule.rule if request.url_rule else ""
    return request.method == "GET" and rule in _READ_BY_PAGES


def _authenticated_user(authenticator: Authenticator) -> User:
    credentials = request.authorization
    if credentials is None and _accepts_session():
        return authenticator.by_session(request.cookies[sessions.COOKIE])
    if credentials is None:
        raise Unauthenticated("the header Authorization is missing or malformed; send a password or a key")
    if credentials.type == "basic":
        return authenticator.by_password(
            credentials.username or "", credentials.password or "", address=request.remote_addr or ""
        )
    if credentials.type == "bearer":
        return authenticator.by_key(credentials.token or "")
    raise Unauthenticated(
        f"{credentials.type[:20]!r} is not an authentication scheme of this API; allowed: Basic, Bearer"
    )
