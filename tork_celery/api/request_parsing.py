"""Parsing of requests: body, page number and size, search text."""

import re
from collections.abc import Callable
from typing import TypeVar

from flask import Flask, Request, request

from tork_celery import jobfile
from tork_celery.api.context import ApiContext
from tork_celery.domain.errors import BodyTooLarge, Fault, InvalidInput, NotFound
from tork_celery.domain.identifiers import LONGEST_NAME
from tork_celery.domain.search import LONGEST_QUERY
from tork_celery.domain.streams import MAX_TOPICS, Topic

T = TypeVar("T")

_PAGE_SIZE = 10
_MAX_PAGE_SIZE = 20
_LOG_PAGE_SIZE = 25
_MAX_LOG_PAGE_SIZE = 100
MAX_LIST_SIZE = 100
"""Largest page of a list of jobs or tasks."""
_MAX_PAGE_NUMBER = 10**9
_MAX_TAIL = 10**9
_INTEGER = re.compile(r"-?[0-9]+", re.ASCII)
_MAX_DIGITS = 18  # int() rejects more than 4,300
_DIGITS = re.compile(rf"[0-9]{{1,{_MAX_DIGITS}}}", re.ASCII)


def reject_nul_paths(app: Flask) -> None:
    """Answer 404 for a path with the character NUL: no id contains it, and PostgreSQL rejects it."""

    @app.before_request
    def reject() -> None:
        if "\0" in request.path:
            raise NotFound("no name or id contains the character NUL")


def parse_body(api: ApiContext, parser: Callable[..., T], **options: bool) -> T:
    """Parse the body with one of the parsers of `jobfile`. Raises InvalidInput, BodyTooLarge."""
    limit_bytes = api.body_limit_bytes
    body = _read_body(request, limit_bytes=limit_bytes)
    return parser(body, request.content_type or "", limit_bytes=limit_bytes, **options)


def parse_faults(api: ApiContext) -> tuple[Fault, ...]:
    """Return the faults of a job file of any kind. Raises InvalidInput for a media type, BodyTooLarge."""
    jobfile.check_media_type(request.content_type or "")
    try:
        parse_body(api, jobfile.parse_any, image_required=api.image_required)
    except InvalidInput as error:
        return error.faults
    return ()


def _read_body(request: Request, *, limit_bytes: int) -> bytes:
    """Return the body, which the front has received already. Raises BodyTooLarge."""
    body = request.get_data()
    if len(body) > limit_bytes:
        raise BodyTooLarge(f"the body is larger than {limit_bytes} bytes")
    return body


def parse_search_text(request: Request) -> str:
    """Return the parameter `q`, unparsed. Raises InvalidInput."""
    text = request.args.get("q", "")
    if len(text) > LONGEST_QUERY:
        raise InvalidInput(Fault(path="q", message=f"longer than {LONGEST_QUERY} characters"))
    if "\0" in text:
        raise InvalidInput(Fault(path="q", message="must not contain the character NUL"))
    return text


def parse_restart(request: Request) -> tuple[str | None, bool]:
    """Return the parameters `from` and `only` of a restart. Raises InvalidInput."""
    from_task, only = request.args.get("from") or None, request.args.get("only", "false")
    if from_task is not None and (len(from_task) > LONGEST_NAME or "\0" in from_task):
        raise InvalidInput(Fault(path="from", message="expected the id, name or var of a task"))
    if only not in ("true", "false"):
        raise InvalidInput(Fault(path="only", message="expected true or false"))
    return from_task, only == "true"


def prefers_async(request: Request) -> bool:
    """Return whether the client asks not to wait for the job's end, by `Prefer: respond-async` (RFC 7240)."""
    preferences = request.headers.get("Prefer", "").lower().split(",")
    return any(each.partition(";")[0].strip() == "respond-async" for each in preferences)


def parse_topics(request: Request) -> tuple[Topic, ...]:
    """Return the topics of a stream. Raises InvalidInput."""
    texts = list(dict.fromkeys(request.args.getlist("topic")))
    if not 1 <= len(texts) <= MAX_TOPICS:
        message = f"give 1 to {MAX_TOPICS} topics, such as ?topic=jobs&topic=job:ID&topic=log:TASK_ID"
        raise InvalidInput(Fault(path="topic", message=message))
    try:
        return tuple(Topic.parse(text) for text in texts)
    except ValueError as error:
        raise InvalidInput(Fault(path="topic", message=str(error))) from error


def parse_tail(request: Request) -> int | None:
    """Return the number of last lines with which a log begins; None for all. Raises InvalidInput."""
    if not request.args.get("tail"):
        return None
    return _parse_number(request, "tail", default=1, maximum=_MAX_TAIL)


def parse_page(
    request: Request, *, default_size: int = _PAGE_SIZE, max_size: int = _MAX_PAGE_SIZE
) -> tuple[int, int]:
    """Return the number and the size of the requested page. Raises InvalidInput."""
    return (
        _parse_number(request, "page", default=1, maximum=_MAX_PAGE_NUMBER),
        _parse_number(request, "size", default=default_size, maximum=max_size),
    )


def parse_log_page(request: Request) -> tuple[int, int]:
    """Return the number and the size of the requested page of a log. Raises InvalidInput."""
    return parse_page(request, default_size=_LOG_PAGE_SIZE, max_size=_MAX_LOG_PAGE_SIZE)


def parse_flag(request: Request, name: str) -> bool:
    """Return a parameter that is true or false; false without it. Raises InvalidInput."""
    text = request.args.get(name, "")
    if text not in ("", "true", "false"):
        raise InvalidInput(Fault(path=name, message=f"{text[:40]!r} is neither true nor false"))
    return text == "true"


def parse_count(request: Request, name: str, *, maximum: int) -> int | None:
    """Return a parameter from 0 to a maximum, or None without it. Raises InvalidInput."""
    text = request.args.get(name, "")
    if not text:
        return None
    if not _DIGITS.fullmatch(text) or int(text) > maximum:
        message = f"{text[:40]!r} is not a whole number from 0 to {maximum}"
        raise InvalidInput(Fault(path=name, message=message))
    return int(text)


def _parse_number(request: Request, name: str, *, default: int, maximum: int) -> int:
    """Return a parameter, clamped to 1..maximum as Tork does. Raises InvalidInput unless it is an integer."""
    text = request.args.get(name, "")
    if not text:
        return default
    if not _INTEGER.fullmatch(text):
        message = f"{text[:40]!r} is not a whole number from 1 to {maximum}"
        raise InvalidInput(Fault(path=name, message=message))
    digits = text.lstrip("-0")
    if text.startswith("-") or not digits:
        return 1
    return maximum if len(digits) > _MAX_DIGITS else min(int(digits), maximum)
