"""Publishers and consumers use the same declaration of a queue."""

from collections.abc import Iterator
from contextlib import closing

import pytest
from celery import Celery

from tork_celery.dispatch.queue_declarations import MAX_PRIORITY, declare
from tork_celery.domain.queue_names import of_node


@pytest.fixture
def app() -> Iterator[Celery]:
    app = Celery(
        "queues",
        broker="memory://",
        amqp="tork_celery.dispatch.queue_declarations:TaskAMQP",
        set_as_current=False,
    )
    with closing(app):
        yield app


@pytest.mark.parametrize("name", ["default", "gpu", "control", "node.default@here"])
def test_publishers_use_the_declaration(app: Celery, name: str) -> None:
    queue = app.amqp.queues[name]

    assert queue == declare(name)
    assert queue.queue_arguments == declare(name).queue_arguments
    assert (queue.expires, queue.max_priority) == (declare(name).expires, MAX_PRIORITY)


def test_consumers_use_the_declaration(app: Celery) -> None:
    app.amqp.queues.select(["gpu", "default"])

    for name, queue in app.amqp.queues.consume_from.items():
        assert queue == declare(name)
        assert queue.queue_arguments == declare(name).queue_arguments


def test_node_queue_expires_and_task_queue_is_durable() -> None:
    assert declare(of_node("default@here")).expires
    assert declare("default").expires is None
    assert declare("default").durable


def test_message_may_stay_unacknowledged_for_days() -> None:
    assert declare("default").queue_arguments["x-consumer-timeout"] > 24 * 3600 * 1000


def test_celery_settings_use_the_declaration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORK_BROKER_URL", "amqp://nowhere//")
    from tork_celery import celeryconfig  # noqa: PLC0415  it reads the environment when it is imported

    assert [queue.queue_arguments for queue in celeryconfig.task_queues] == [
        declare("default").queue_arguments
    ]
    assert (celeryconfig.task_acks_late, celeryconfig.worker_prefetch_multiplier) == (True, 1)
    assert celeryconfig.task_ignore_result
