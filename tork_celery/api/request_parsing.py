"""What is asked for: the body and the page."""

import re
from collections.abc import Callable
from typing import TypeVar

from flask import Flask, Request, request

from tork_celery.api.context import ApiContext
from tork_celery.domain.errors import BodyTooLarge, Fault, InvalidInput, NotFound
from tork_celery.domain.search import LONGEST_QUERY

T = TypeVar("T")

_DRAINED_BODIES = 8  # a body of up to so many times the limit is read to its end before it is refused
_CHUNK_BYTES = 64 * 1024
MOST_PER_PAGE = 20
_LAST_PAGE = 10**9
_WHOLE = re.compile(r"-?[0-9]{1,18}", re.ASCII)
_LOG_PARTS = 25
_MOST_LOG_PARTS = 100


def refuse_nul(app: Flask) -> None:
    """No name and no id has a NUL in it, and PostgreSQL takes none even to look for."""

    @app.before_request
    def refuse() -> None:
        if "\0" in request.path:
            raise NotFound("nothing has the character NUL in its name")


def body(request: Request, *, limit_bytes: int) -> bytes:
    """The body. Raises BodyTooLarge, having read on for a while: most clients hear an answer only after they
    have sent everything."""
    data = request.stream.read(limit_bytes + 1)
    if len(data) <= limit_bytes:
        return data
    for _ in range(_DRAINED_BODIES * limit_bytes // _CHUNK_BYTES):
        if not request.stream.read(_CHUNK_BYTES):
            break
    raise BodyTooLarge(f"the body is larger than {limit_bytes} bytes")


def submitted(api: ApiContext, parse: Callable[..., T], **options: bool) -> T:
    """What one of the parsers of `spec` makes of the body. Raises InvalidInput, BodyTooLarge."""
    limit_bytes = api.body_limit_bytes
    received = body(request, limit_bytes=limit_bytes)
    return parse(received, request.content_type or "", limit_bytes=limit_bytes, **options)


def log_page(request: Request) -> tuple[int, int]:
    """The number and the size of the page of a log that is asked for. Raises InvalidInput."""
    return page(request, size=_LOG_PARTS, most=_MOST_LOG_PARTS)


def searched_text(request: Request) -> str:
    """The text that is searched for, as it is. Raises InvalidInput."""
    text = request.args.get("q", "")
    if len(text) > LONGEST_QUERY:
        raise InvalidInput(Fault(path="q", message=f"longer than {LONGEST_QUERY} characters"))
    if "\0" in text:
        raise InvalidInput(
            Fault(path="q", message="holds the character NUL, which nothing does that is stored")
        )
    return text


def page(request: Request, *, size: int = 10, most: int = MOST_PER_PAGE) -> tuple[int, int]:
    """The number and the size of the page that is asked for. Raises InvalidInput."""
    return (
        _number(request, "page", default=1, most=_LAST_PAGE),
        _number(request, "size", default=size, most=most),
    )


def _number(request: Request, name: str, *, default: int, most: int) -> int:
    """The nearest number that can be, as Tork has it. Raises InvalidInput for what is no number."""
    text = request.args.get(name, "")
    if not text:
        return default
    if not _WHOLE.fullmatch(text):
        raise InvalidInput(Fault(path=name, message=f"{text[:40]!r} is not a whole number from 1 to {most}"))
    return min(max(int(text), 1), most)
