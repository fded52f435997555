"""A broker that refuses access is told apart from one that is away."""

import pytest

from scripts import servers
from tests.dispatch.test_dispatcher import make_app
from tork_celery.dispatch.dispatcher import Dispatcher
from tork_celery.domain.errors import BrokerUnavailable, ConfigurationError

pytestmark = pytest.mark.servers


def check_refusal(url: str) -> None:
    dispatcher = Dispatcher(make_app(url))
    with pytest.raises(ConfigurationError, match="TORK_BROKER_URL: the broker refuses access"):
        dispatcher.check_access()
    with pytest.raises(BrokerUnavailable):
        dispatcher.ping()


def test_rabbitmq_refuses_a_wrong_password_and_a_missing_host() -> None:
    with servers.rabbitmq() as url:
        user, _, rest = url.removeprefix("amqp://").partition(":")
        password = rest.partition("@")[0]
        Dispatcher(make_app(url)).check_access()
        check_refusal(url.replace(f"{user}:{password}", f"{user}:wrong"))
        check_refusal(url.rstrip("/") + "/missing")


def test_redis_refuses_a_wrong_password_and_none() -> None:
    with servers.redis() as url:
        password = url.partition("@")[0].rpartition(":")[2]
        Dispatcher(make_app(url)).check_access()
        check_refusal(url.replace(password, "wrong"))
        check_refusal(url.replace(f":{password}@", ""))


@pytest.mark.parametrize("url", ["redis://127.0.0.1:1", "amqp://127.0.0.1:1//"])
def test_broker_that_does_not_answer_is_away(url: str) -> None:
    dispatcher = Dispatcher(make_app(url))

    dispatcher.check_access()

    with pytest.raises(BrokerUnavailable):
        dispatcher.ping()
