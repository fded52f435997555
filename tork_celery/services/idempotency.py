"""Answers to requests that were sent before, by their Idempotency-Key."""

import json
from typing import cast

from tork_celery.domain.codec import Document
from tork_celery.domain.errors import Conflict
from tork_celery.domain.idempotency import IdempotencyKey
from tork_celery.services.context import ServiceContext
from tork_celery.store import idempotency_keys


def stored_answer(context: ServiceContext, key: IdempotencyKey) -> Document | None:
    """Return the answer to the first request with a key; None without one.

    Raises Conflict if that request had another body.
    """
    with context.database.reading() as tx:
        answer = idempotency_keys.get(tx, key)
    if answer is None:
        return None
    if answer.key != key:
        raise Conflict("a request with this Idempotency-Key had another body; choose another key")
    return cast(Document, json.loads(answer.text))
