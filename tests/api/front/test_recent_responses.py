"""Equal requests share a response: a check of the health is made once a second, however many ask."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import pytest

from tork_celery.api.front import recent_responses
from tork_celery.api.front.recent_responses import RecentResponses, Scope
from tork_celery.api.front.wsgi import Response


@dataclass
class Checks:
    """Counts the checks and answers them with a status, or with an error."""

    status: HTTPStatus = HTTPStatus.OK
    error: Exception | None = None
    scopes: list[Scope] = field(default_factory=list)

    async def __call__(self, scope: Scope) -> Response:
        self.scopes.append(scope)
        await asyncio.sleep(0)
        if self.error is not None:
            raise self.error
        return Response(self.status, [], str(len(self.scopes)).encode())


@pytest.fixture
def checks() -> Checks:
    return Checks()


def request(**headers: str) -> Scope:
    return {"headers": [(name.encode(), value.encode()) for name, value in headers.items()]}


def in_turn(checks: Checks, *scopes: Scope) -> list[bytes]:
    async def ask(responses: RecentResponses) -> list[Any]:
        return [await responses.get(scope) for scope in scopes]

    return [response.body for response in run(checks, ask)]


def run(checks: Checks, ask: Callable[[RecentResponses], Awaitable[list[Any]]]) -> list[Any]:
    async def main() -> list[Any]:
        return await ask(RecentResponses(checks))

    return asyncio.run(main())


def test_recent_response_is_shared(checks: Checks) -> None:
    assert in_turn(checks, request(host="a"), request(host="a", accept="*/*")) == [b"1", b"1"]
    assert len(checks.scopes) == 1


def test_outdated_response_is_not_shared(checks: Checks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recent_responses, "MAX_AGE_S", 0.0)

    assert in_turn(checks, request(), request()) == [b"1", b"2"]


def test_requests_during_a_check_wait_for_it(checks: Checks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recent_responses, "MAX_AGE_S", 0.0)

    async def ask(responses: RecentResponses) -> list[Any]:
        return await asyncio.gather(*(responses.get(request()) for _ in range(3)))

    assert {response.body for response in run(checks, ask)} == {b"1"}


@pytest.mark.parametrize("other", [request(host="b"), request(host="a", origin="http://b")])
def test_response_to_another_host_or_origin_is_its_own(checks: Checks, other: Scope) -> None:
    assert in_turn(checks, request(host="a"), other) == [b"1", b"2"]


def test_response_that_is_no_success_is_not_shared(checks: Checks) -> None:
    checks.status = HTTPStatus.SERVICE_UNAVAILABLE

    assert in_turn(checks, request(), request()) == [b"1", b"2"]


def test_error_is_not_shared(checks: Checks) -> None:
    checks.error = ValueError("a bug")

    async def ask(responses: RecentResponses) -> list[Any]:
        with pytest.raises(ValueError, match="a bug"):
            await responses.get(request())
        checks.error = None
        return [await responses.get(request())]

    assert [response.body for response in run(checks, ask)] == [b"2"]


def test_client_that_leaves_keeps_the_check_running(checks: Checks) -> None:
    async def ask(responses: RecentResponses) -> list[Any]:
        leaving = asyncio.ensure_future(responses.get(request()))
        await asyncio.sleep(0)
        leaving.cancel()
        return [await responses.get(request())]

    assert [response.body for response in run(checks, ask)] == [b"1"]


def test_number_of_kept_responses_is_limited(checks: Checks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recent_responses, "_MOST_KEYS", 2)
    a, b, c = (request(host=host) for host in "abc")

    assert in_turn(checks, a, b, c, b, a) == [b"1", b"2", b"3", b"2", b"4"]
