"""Requests that take effect once: the header Idempotency-Key."""

import hashlib
from collections.abc import Callable
from typing import TypeVar

import msgspec
from flask import request
from flask.typing import ResponseReturnValue

from tork_celery.api.authentication import current_username
from tork_celery.api.context import ApiContext
from tork_celery.domain.codec import Document
from tork_celery.domain.errors import InvalidInput, KeyInUse
from tork_celery.domain.idempotency import LONGEST_KEY, Answer, AnswerTo, IdempotencyKey
from tork_celery.services import idempotency

T = TypeVar("T")

HEADER = "Idempotency-Key"
REPLAY_HEADER = "Idempotent-Replay"
REPLAY_WAIT_S = 5.0
"""A repeated request waits this long for the answer to the first one."""


def once(
    api: ApiContext, act: Callable[[AnswerTo[T] | None], T], document: Callable[[T], Document]
) -> tuple[Document, bool]:
    """Return the response to a request, and whether the same request was answered before.

    `act` makes what the request asks for, and stores the answer of the function that it is given in the same
    transaction. `document` is the response for its result. Raises InvalidInput for an invalid key, Conflict,
    and the errors of `act`.
    """
    if HEADER not in request.headers:
        return document(act(None)), False
    key = _parse_key()
    if (stored := idempotency.stored_answer(api.services, key)) is not None:
        return stored, True

    def answer_to(result: T) -> Answer:
        return Answer(key=key, text=msgspec.json.encode(document(result)).decode())

    try:
        return document(act(answer_to)), False
    except KeyInUse:
        stored = idempotency.stored_answer(api.services, key)
        if stored is None:
            raise
        return stored, True


def respond(document: Document, replayed: bool) -> ResponseReturnValue:
    """Return the response of `once`, with a header if it is a replay."""
    return document, {REPLAY_HEADER: "true"} if replayed else {}


def _parse_key() -> IdempotencyKey:
    text = request.headers[HEADER]
    if not 1 <= len(text) <= LONGEST_KEY or not text.isprintable():
        raise InvalidInput(f"{HEADER}: expected 1 to {LONGEST_KEY} printable characters")
    return IdempotencyKey(
        owner=current_username() or "",
        route=request.path,
        key=text,
        digest=hashlib.sha256(request.get_data()).hexdigest(),
    )
