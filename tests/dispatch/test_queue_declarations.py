"""A queue is declared alike by everyone, or a broker would refuse it."""

from contextlib import closing

import pytest
from celery import Celery

from tork_celery.dispatch.queue_declarations import MAX_PRIORITY, declare
from tork_celery.domain.queue_names import of_node


@pytest.fixture
def app() -> Celery:
    return Celery(
        "queues",
        broker="memory://",
        amqp="tork_celery.dispatch.queue_declarations:TaskAMQP",
        set_as_current=False,
    )


@pytest.mark.parametrize("name", ["default", "gpu", "control", "node.default@here"])
def test_whoever_names_a_queue_has_the_same_declaration(app: Celery, name: str) -> None:
    with closing(app):
        routed = app.amqp.queues[name]

        assert routed == declare(name)
        assert routed.queue_arguments == declare(name).queue_arguments
        assert (routed.expires, routed.max_priority) == (declare(name).expires, MAX_PRIORITY)


def test_a_worker_that_is_told_its_queues_declares_them_alike(app: Celery) -> None:
    with closing(app):
        app.amqp.queues.select(["gpu", "default"])

        for name, queue in app.amqp.queues.consume_from.items():
            assert queue == declare(name)
            assert queue.queue_arguments == declare(name).queue_arguments


def test_the_queue_of_a_node_goes_with_it_and_others_stay() -> None:
    assert declare(of_node("default@here")).expires
    assert declare("default").expires is None
    assert declare("default").durable


def test_a_message_may_be_held_for_days() -> None:
    assert declare("default").queue_arguments["x-consumer-timeout"] > 24 * 3600 * 1000


def test_the_products_configuration_declares_them_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORK_BROKER_URL", "amqp://nowhere//")
    from tork_celery import celeryconfig  # noqa: PLC0415  it reads the environment when it is imported

    assert [queue.queue_arguments for queue in celeryconfig.task_queues] == [
        declare("default").queue_arguments
    ]
    assert (celeryconfig.task_acks_late, celeryconfig.worker_prefetch_multiplier) == (True, 1)
    assert celeryconfig.task_ignore_result
