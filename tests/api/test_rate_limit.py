"""The API limits the requests of each user or address to TORK_RATE_LIMIT per second."""

import pytest
from flask.testing import FlaskClient

from tests.api.documents import document
from tork_celery.api import create_app, rate_limit
from tork_celery.api.context import ApiContext
from tork_celery.api.rate_limit import RateLimiter
from tork_celery.domain.user import NewUser
from tork_celery.services import users
from tork_celery.services.authentication import Authenticator
from tork_celery.services.context import ServiceContext

ADA, BOB = ("user", "ada"), ("user", "bob")


class Clock:
    """A clock that stands still until it is set."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def make_client(context: ServiceContext, *, authenticator: Authenticator | None = None) -> FlaskClient:
    api = ApiContext(services=context, body_limit_bytes=10_000, rate_limit=0.01, authenticator=authenticator)
    return create_app(api).test_client()


def test_bucket_has_the_requests_of_one_second_and_refills() -> None:
    clock = Clock()
    limiter = RateLimiter(2.0, clock=clock)

    assert [limiter.take(ADA) for _ in range(4)] == [0.0, 0.0, 0.5, 0.5]
    clock.now_s += 0.5
    assert [limiter.take(ADA) for _ in range(2)] == [0.0, 0.5]
    clock.now_s += 3600
    assert [limiter.take(ADA) for _ in range(3)] == [0.0, 0.0, 0.5]


def test_rate_below_one_allows_one_request() -> None:
    limiter = RateLimiter(0.1, clock=Clock())

    assert [limiter.take(ADA) for _ in range(2)] == [0.0, pytest.approx(10.0)]


def test_each_client_has_its_own_bucket() -> None:
    limiter = RateLimiter(1.0, clock=Clock())

    assert [limiter.take(ADA), limiter.take(ADA), limiter.take(BOB)] == [0.0, 1.0, 0.0]


def test_silent_clients_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limit, "_MAX_BUCKETS", 2)
    limiter = RateLimiter(1.0, clock=Clock())

    for name in ("a", "b", "c"):
        limiter.take(("user", name))

    assert limiter.take(("user", "c")) == 1.0
    assert limiter.take(("user", "a")) == 0.0


def test_address_beyond_the_limit_gets_429(context: ServiceContext) -> None:
    client = make_client(context)

    responses = [client.get("/jobs") for _ in range(2)]

    assert [response.status_code for response in responses] == [200, 429]
    assert responses[1].headers["Retry-After"] == "100"
    assert document(responses[1]) == {"message": "more than 0.01 requests a second; send fewer"}
    assert client.get("/jobs", environ_overrides={"REMOTE_ADDR": "10.0.0.2"}).status_code == 200


def test_health_is_not_limited(context: ServiceContext) -> None:
    client = make_client(context)

    assert 429 not in [client.get("/health").status_code for _ in range(10)]


def test_requests_of_a_user_are_counted_for_all_addresses(context: ServiceContext) -> None:
    keys = {name: add_user(context, name) for name in ("ada", "bob")}
    client = make_client(context, authenticator=Authenticator(context.database, schemes=("key",)))

    def get(name: str, address: str) -> int:
        headers = {"Authorization": f"Bearer {keys[name]}"}
        return client.get("/jobs", headers=headers, environ_overrides={"REMOTE_ADDR": address}).status_code

    assert [get("ada", f"10.0.0.{number}") for number in range(3)] == [200, 429, 429]
    assert get("bob", "10.0.0.0") == 200


def add_user(context: ServiceContext, name: str) -> str:
    """Add a user and return a key."""
    new = NewUser(username=name, password="p")
    users.add(context.database, new)
    return users.new_key(context.database, name)
