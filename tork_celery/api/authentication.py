"""Who asks, and whether they may, is found out before a view is asked."""

from http import HTTPStatus

from flask import Flask, Response, g, request

from tork_celery.api.context import ApiContext
from tork_celery.domain.errors import Unauthenticated
from tork_celery.domain.user import User
from tork_celery.services import permissions
from tork_celery.services.authentication import BASIC, KEY, Authenticator

OPEN = frozenset({"/health", "/docs", "/openapi.json", "/schema/job.json"})
"""The routes that anybody may ask: they show nothing of what is stored."""

_CHALLENGES = {BASIC: 'Basic realm="tork", charset="UTF-8"', KEY: 'Bearer realm="tork"'}

_CHECKS = {
    "job_id": permissions.check_job,
    "task_id": permissions.check_task,
    "schedule_id": permissions.check_schedule,
}
"""By the name of the variable in a route."""


def authenticate(app: Flask, api: ApiContext) -> None:
    """From now on, `user` is who asks, and asks in vain for jobs that are not for them. Without an
    authenticator anybody may ask for anything, and is nobody."""
    authenticator = api.authenticator
    if authenticator is None:
        return

    @app.before_request
    def identify() -> None:
        # A browser asks for the OPTIONS before it authenticates.
        if request.method != "OPTIONS" and not _is_open():
            g.user = _user(authenticator)

    @app.before_request
    def check_access() -> None:
        """Of whatever job a route is about, whatever it does with it."""
        for name, id_ in (request.view_args or {}).items():
            if name in _CHECKS:
                _CHECKS[name](api.services.database, user(), id_)

    @app.after_request
    def challenge(answer: Response) -> Response:
        if answer.status_code == HTTPStatus.UNAUTHORIZED:
            for scheme in authenticator.schemes:
                answer.headers.add("WWW-Authenticate", _CHALLENGES[scheme])
        return answer


def user() -> User | None:
    """Who asks. None where there is no authentication."""
    found: User | None = g.get("user")
    return found


def username() -> str | None:
    """The name of who asks."""
    found = user()
    return None if found is None else found.username


def _is_open() -> bool:
    return request.url_rule is not None and request.url_rule.rule in OPEN


def _user(authenticator: Authenticator) -> User:
    given = request.authorization
    if given is None:
        raise Unauthenticated("say who you are: the header Authorization is missing or cannot be read")
    if given.type == "basic":
        return authenticator.by_password(given.username or "", given.password or "")
    if given.type == "bearer":
        return authenticator.by_key(given.token or "")
    raise Unauthenticated(f"{given.type[:20]!r} is no way of authentication that is known here")
