"""Sign in with a password or a key, and sign out."""

from flask import Blueprint, Response, render_template, request
from flask.typing import ResponseReturnValue

from tork_celery.api.context import ApiContext
from tork_celery.api.errors import status_of
from tork_celery.domain.errors import NotFound, TooManyRequests, Unauthenticated
from tork_celery.domain.user import User
from tork_celery.services import sessions
from tork_celery.services.authentication import KEY, Authenticator
from tork_celery.web import notices, session_cookie


def add_routes(pages: Blueprint, api: ApiContext) -> None:
    @pages.get("/sign-in")
    def sign_in() -> ResponseReturnValue:
        return _page(_authenticator(api))

    @pages.post("/sign-in")
    def start_session() -> ResponseReturnValue:
        authenticator = _authenticator(api)
        try:
            user = _identify(authenticator)
        except (Unauthenticated, TooManyRequests) as error:
            return _page(authenticator, fault=str(error)), status_of(error) or 500
        response = notices.redirect_with()
        return session_cookie.store(response, user)

    @pages.post("/sign-out")
    def end_session() -> Response:
        response = notices.redirect_with(to="/ui/sign-in")
        response.delete_cookie(sessions.COOKIE)
        return response


def _authenticator(api: ApiContext) -> Authenticator:
    if api.authenticator is None:
        raise NotFound("authentication is off; there is nothing to sign in to")
    return api.authenticator


def _identify(authenticator: Authenticator) -> User:
    """Return the user of the form. Raises Unauthenticated, TooManyRequests."""
    if key := request.form.get("key"):
        return authenticator.by_key(key)
    return authenticator.by_password(
        request.form.get("username", ""),
        request.form.get("password", ""),
        address=request.remote_addr or "",
    )


def _page(authenticator: Authenticator, *, fault: str | None = None) -> str:
    schemes = authenticator.schemes
    return render_template(
        "sign_in.html",
        by_key=KEY in schemes,
        by_password=schemes != (KEY,),
        fault=fault,
        next=notices.next_page(),
    )
