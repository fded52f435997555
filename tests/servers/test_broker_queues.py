"""Queues of Redis and RabbitMQ: counting their messages, and deleting those that nobody uses."""

from collections.abc import Iterator
from contextlib import closing

import pytest
import redis
from celery import Celery

from scripts import servers
from tests.dispatch.test_dispatcher import make_app, take_messages
from tests.domain.samples import make_task, task_definition
from tests.eventually import eventually
from tork_celery.dispatch.dispatcher import Dispatcher
from tork_celery.dispatch.queue_declarations import declare

pytestmark = pytest.mark.servers

BROKERS = {"redis": servers.redis, "rabbitmq": servers.rabbitmq}
GPU = make_task(definition=task_definition(queue="gpu"))


@pytest.fixture(scope="module", params=sorted(BROKERS))
def broker_url(request: pytest.FixtureRequest) -> Iterator[str]:
    with BROKERS[request.param]() as url:
        yield url


@pytest.fixture
def app(broker_url: str) -> Iterator[Celery]:
    with closing(make_app(broker_url)) as app:
        yield app
        Dispatcher(app).delete_unused(["gpu", "slow", "missing"])


def test_messages_of_several_queues_are_counted(app: Celery) -> None:
    dispatcher = Dispatcher(app)
    for queue in ("gpu", "gpu", "slow"):
        dispatcher.send_all([make_task(definition=task_definition(queue=queue))])

    assert dispatcher.count_messages(["gpu", "missing", "slow"]) == {"gpu": 2, "missing": 0, "slow": 1}


def test_deleted_queue_is_usable_again(app: Celery) -> None:
    """A publisher remembers that it has declared a queue: its first message to a deleted one is lost. The
    sweep counts the messages, which declares the queue, and publishes again."""
    dispatcher = Dispatcher(app)
    dispatcher.send_all([GPU])

    dispatcher.delete_unused(["gpu"])
    assert dispatcher.count_messages(["gpu"]) == {"gpu": 0}
    dispatcher.send_all([GPU])

    assert dispatcher.count_messages(["gpu"]) == {"gpu": 1}
    assert len(take_messages(app, "gpu")) == 1


def test_deleted_queue_holds_no_messages(app: Celery) -> None:
    dispatcher = Dispatcher(app)
    dispatcher.send_all([GPU])

    dispatcher.delete_unused(["gpu", "missing"])

    assert dispatcher.count_messages(["gpu", "missing"]) == {"gpu": 0, "missing": 0}


def test_queue_with_a_consumer_is_not_deleted(app: Celery, broker_url: str) -> None:
    """Redis has no consumers that others could see."""
    if broker_url.startswith("redis"):
        pytest.skip("only RabbitMQ knows consumers")
    dispatcher = Dispatcher(app)
    with app.connection_for_read() as connection, connection.channel() as channel:
        bound = declare("gpu")(channel)
        bound.declare()
        bound.consume("a consumer", no_ack=False)

        dispatcher.delete_unused(["gpu", "slow"])

        assert bound.queue_declare(passive=True).consumer_count == 1


def test_many_tasks_are_sent_at_once(app: Celery) -> None:
    dispatcher = Dispatcher(app)
    dispatcher.count_messages(["gpu"])  # declares the queue, which another test has deleted

    dispatcher.send_all([GPU] * 300)

    eventually(lambda: dispatcher.count_messages(["gpu"]) == {"gpu": 300})
    dispatcher.purge("gpu")


def test_tasks_are_sent_after_the_broker_has_closed_its_connections(app: Celery, broker_url: str) -> None:
    if not broker_url.startswith("redis:"):
        pytest.skip("only Redis closes the connections of its clients by a command")
    dispatcher = Dispatcher(app)
    dispatcher.send_all([GPU])
    with closing(redis.Redis.from_url(broker_url)) as client:
        client.client_kill_filter(_type="normal", skipme=True)

    dispatcher.send_all([GPU])

    assert dispatcher.count_messages(["gpu"]) == {"gpu": 2}
