"""The cookie of a session."""

from flask import Response, request

from tork_celery.domain.user import User
from tork_celery.services import sessions


def store(response: Response, user: User) -> Response:
    """Let the response begin a session of the user."""
    response.set_cookie(
        sessions.COOKIE,
        sessions.issue(user),
        max_age=sessions.MAX_AGE_S,
        httponly=True,
        samesite="Lax",
        secure=request.is_secure,
    )
    return response
