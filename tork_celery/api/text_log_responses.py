"""Responses with logs as plain text."""

from collections.abc import Callable

from flask import Request, Response, request

from tork_celery.api.front.body_streams import BODY_KEY
from tork_celery.api.request_parsing import parse_count, parse_flag
from tork_celery.domain.errors import Fault, InvalidInput
from tork_celery.services.text_logs import TextLog, TextOptions

MOST_TAIL_LINES = 10**9
_JSON, _TEXT = "application/json", "text/plain"


def prefers_text(request: Request) -> bool:
    """Return whether the client asks for plain text, by `format` or `Accept`. Raises InvalidInput."""
    match request.args.get("format", ""):
        case "text":
            return True
        case "json":
            return False
        case "":
            return request.accept_mimetypes.best_match([_JSON, _TEXT]) == _TEXT
        case other:
            message = f"{other[:40]!r} is not a format; allowed: json, text"
            raise InvalidInput(Fault(path="format", message=message))


def text_log(id_: str, open_log: Callable[[TextOptions], TextLog]) -> Response:
    """Return the response to a request for a log, whose chunks the front reads and sends.

    `open_log` opens the log of the job or task `id_`. Raises InvalidInput.
    """
    options = TextOptions(
        step=_parse_step(request),
        tail=parse_count(request, "tail", maximum=MOST_TAIL_LINES),
        timestamps=parse_flag(request, "timestamps"),
    )
    response = Response(mimetype=_TEXT)
    if parse_flag(request, "download"):
        response.headers["Content-Disposition"] = f'attachment; filename="{id_}.log"'
    log = open_log(options)
    if request.method == "GET":
        request.environ[BODY_KEY].append(log.read)
    return response


def _parse_step(request: Request) -> str | None:
    step = request.args.get("step", "")
    if "\0" in step:
        raise InvalidInput(Fault(path="step", message="must not contain the character NUL"))
    return step or None
