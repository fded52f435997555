"""The one place that turns errors into HTTP responses."""

import math
from http import HTTPStatus

import structlog
from flask import Flask
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException

from tork_celery.api import responses
from tork_celery.domain.errors import (
    BodyTooLarge,
    Conflict,
    Forbidden,
    InvalidInput,
    MisdirectedRequest,
    NotFound,
    StillRunning,
    TooManyRequests,
    TooManyStreams,
    TorkError,
    Unauthenticated,
    Unavailable,
    WrongState,
)

log = structlog.get_logger(__name__)

_STATUS: dict[type[TorkError], HTTPStatus] = {
    InvalidInput: HTTPStatus.BAD_REQUEST,
    WrongState: HTTPStatus.BAD_REQUEST,
    Conflict: HTTPStatus.CONFLICT,
    BodyTooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    Unauthenticated: HTTPStatus.UNAUTHORIZED,
    Forbidden: HTTPStatus.FORBIDDEN,
    MisdirectedRequest: HTTPStatus.MISDIRECTED_REQUEST,
    NotFound: HTTPStatus.NOT_FOUND,
    StillRunning: HTTPStatus.REQUEST_TIMEOUT,
    TooManyRequests: HTTPStatus.TOO_MANY_REQUESTS,
    Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
}


def handle_errors(app: Flask) -> None:
    app.register_error_handler(TorkError, _tork_error)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(Exception, _internal_error)


def status_of(error: TorkError) -> HTTPStatus | None:
    """Return the status of the response to an error; None for a bug."""
    return next((status for known, status in _STATUS.items() if isinstance(error, known)), None)


def _tork_error(error: TorkError) -> ResponseReturnValue:
    status = status_of(error)
    if status is None:
        return _internal_error(error)
    jobs = error.jobs if isinstance(error, Conflict) else ()
    return responses.error(str(error), jobs=jobs), status, _headers(error)


def _headers(error: TorkError) -> dict[str, str]:
    limits = TooManyRequests, TooManyStreams, Conflict
    retry_after_s = error.retry_after_s if isinstance(error, limits) else None
    return {} if retry_after_s is None else {"Retry-After": str(math.ceil(retry_after_s))}


def _http_error(error: HTTPException) -> ResponseReturnValue:
    allowed = getattr(error, "valid_methods", None)  # of a 405
    headers = {"Allow": ", ".join(allowed)} if allowed else {}
    return (
        responses.error(error.description or error.name),
        error.code or HTTPStatus.INTERNAL_SERVER_ERROR,
        headers,
    )


def _internal_error(error: Exception) -> ResponseReturnValue:
    log.error("request.failed", exc_info=error)
    return responses.error("internal error; see the server's log"), HTTPStatus.INTERNAL_SERVER_ERROR
