"""Requests that take effect once, though they are sent several times: the header Idempotency-Key."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")

KEPT_FOR_S = 24 * 3600.0
"""The answer to the first request with a key is kept this long."""
LONGEST_KEY = 255


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class IdempotencyKey:
    """The key of a request. `owner` is the user, empty without authentication, and `digest` that of the body.

    Requests of other users and routes with the same `key` are independent.
    """

    owner: str
    route: str
    key: str
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The JSON text that answers the first request with a key, and all later ones with the same body."""

    key: IdempotencyKey
    text: str


AnswerTo = Callable[[T], Answer]
"""Returns the answer to keep for the result of a request."""
