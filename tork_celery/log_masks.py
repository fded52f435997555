"""The secrets of running steps, which the log of this process must not show.

An error of the engine quotes what a user wrote, and threads that know nothing of its step log it. So this is
a global of the process, as the configuration of structlog is.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from structlog.typing import EventDict, WrappedLogger

from tork_celery.domain.masking import Mask

_TEXT_FIELDS = ("reason", "image", "path", "exception")
"""Fields of our records that may quote a user's text."""

_lock = threading.Lock()
_masks: dict[object, Mask] = {}


@contextmanager
def masking(mask: Mask) -> Iterator[None]:
    """Apply a mask to all records of this process within the context."""
    key = object()
    with _lock:
        _masks[key] = mask
    try:
        yield
    finally:
        with _lock:
            del _masks[key]


def mask_record(_logger: WrappedLogger, _method: str, record: EventDict) -> EventDict:
    """Mask the texts of one of our records. A processor of structlog."""
    return _masked(record, _TEXT_FIELDS)


def mask_foreign_record(_logger: WrappedLogger, _method: str, record: EventDict) -> EventDict:
    """Mask the texts of a record of a library, whose event is a message. A processor of structlog."""
    return _masked(record, (*_TEXT_FIELDS, "event"))


def _masked(record: EventDict, fields: tuple[str, ...]) -> EventDict:
    with _lock:
        masks = list(_masks.values())
    for field in fields:
        if masks and field in record:
            text = str(record[field])
            for mask in masks:
                text = mask(text)
            record[field] = text
    return record
