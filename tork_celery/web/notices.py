"""Notices: a sentence that the next page shows once, such as why an action was rejected."""

from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import quote, unquote

from flask import Response, request, url_for

COOKIE = "tork_notice"
_LONGEST = 1000
_SHOWN_WITHIN_S = 60


class Notice(NamedTuple):
    text: str
    failed: bool


def current() -> Notice | None:
    """Return the notice that the page shows."""
    stored = request.cookies.get(COOKIE)
    return Notice(unquote(stored[1:]), stored[0] == "!") if stored else None


def redirect_with(text: str | None = None, *, failed: bool = False, to: str | None = None) -> Response:
    """Lead the browser to `to`, or to the page that the form names, with a notice."""
    response = Response(status=HTTPStatus.SEE_OTHER, headers={"Location": to or next_page()})
    if text:
        response.set_cookie(
            COOKIE,
            ("!" if failed else ".") + quote(text[:_LONGEST]),
            path="/ui",
            httponly=True,
            samesite="Strict",
            max_age=_SHOWN_WITHIN_S,
        )
    return response


def forget(response: Response) -> None:
    """Remove the notice of the page, which has shown it."""
    if COOKIE in request.cookies:
        response.delete_cookie(COOKIE, path="/ui")


def next_page() -> str:
    """Return the page to go to after a form: the one that it names, if that is a page of ours."""
    page = request.values.get("next", "")
    if page == "/ui" or page.startswith(("/ui/", "/ui?")):
        return page
    return url_for("ui.list_jobs")
