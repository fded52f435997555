"""Responses that equal requests share while they are recent."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from tork_celery.api.front.wsgi import Response

MAX_AGE_S = 1.0
_MOST_KEYS = 64
_DECISIVE_HEADERS = (b"host", b"origin")

Scope = MutableMapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Recent:
    since_s: float
    response: asyncio.Task[Response]


class RecentResponses:
    """Answers requests by `respond`, and equal ones at most once a second. Runs on one event loop.

    Requests are equal if their Host and Origin are. Those that arrive while `respond` runs wait for its
    response. A response other than 200 is not kept, so that the end of an outage shows at once.
    """

    def __init__(self, respond: Callable[[Scope], Awaitable[Response]]) -> None:
        self._respond = respond
        self._recent: dict[tuple[bytes, ...], _Recent] = {}

    async def get(self, scope: Scope) -> Response:
        key = tuple(name + value for name, value in scope["headers"] if name in _DECISIVE_HEADERS)
        recent = self._recent.get(key)
        now_s = asyncio.get_running_loop().time()
        if recent is None or _is_outdated(recent, now_s):
            recent = _Recent(now_s, asyncio.ensure_future(self._respond(scope)))
            self._keep(key, recent)
        return await asyncio.shield(recent.response)

    def _keep(self, key: tuple[bytes, ...], recent: _Recent) -> None:
        self._recent.pop(key, None)
        self._recent[key] = recent
        if len(self._recent) > _MOST_KEYS:
            del self._recent[next(iter(self._recent))]


def _is_outdated(recent: _Recent, now_s: float) -> bool:
    task = recent.response
    if not task.done():
        return False
    failed = task.cancelled() or task.exception() is not None or task.result().status != HTTPStatus.OK
    return failed or now_s - recent.since_s >= MAX_AGE_S
