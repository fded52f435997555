"""CSRF tokens: a random cookie that another site can neither read nor set, and its copy in each form."""

import hmac
import secrets

from flask import Response, g, request

from tork_celery.domain.errors import Forbidden

COOKIE = "tork_csrf"
FIELD = "csrf"
HEADER = "X-CSRF-Token"
_TOKEN_BYTES = 24


def token() -> str:
    """Return the token of this browser; a new one at its first request."""
    if "csrf" not in g:
        g.csrf = request.cookies.get(COOKIE) or secrets.token_urlsafe(_TOKEN_BYTES)
    return str(g.csrf)


def check() -> None:
    """Raise Forbidden unless the request has the token of its browser in a header or in its form."""
    expected = request.cookies.get(COOKIE, "")
    sent = request.headers.get(HEADER) or request.form.get(FIELD, "")
    if not expected or not hmac.compare_digest(sent.encode(), expected.encode()):
        raise Forbidden("the form is out of date, or not from this page; reload the page and try again")


def set_cookie(response: Response) -> Response:
    """Store the token in the browser if a page has used it."""
    if "csrf" in g and COOKIE not in request.cookies:
        response.set_cookie(
            COOKIE, g.csrf, path="/ui", httponly=True, samesite="Strict", secure=request.is_secure
        )
    return response
