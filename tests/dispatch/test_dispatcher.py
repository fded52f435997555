"""Canvases of tasks: their steps, queues, priorities, and the ids that their messages carry."""

import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from celery import Celery

from tests.domain.samples import make_task, task_definition
from tork_celery.dispatch.dispatcher import Dispatcher
from tork_celery.domain.errors import BrokerUnavailable
from tork_celery.domain.model import Task
from tork_celery.domain.states import TaskState

SECRET = "a secret value"
RUNNING: dict[str, Any] = {"state": TaskState.RUNNING, "node": "default@here"}


def make_app(url: str) -> Celery:
    return Celery(
        "canvases",
        broker=url,
        amqp="tork_celery.dispatch.queue_declarations:TaskAMQP",
        set_as_current=False,
        backend="disabled://",
    )


@pytest.fixture
def app() -> Iterator[Celery]:
    with closing(make_app("memory://")) as app:
        yield app


@pytest.fixture
def dispatcher(app: Celery) -> Dispatcher:
    return Dispatcher(app)


def take_messages(app: Celery, queue: str) -> list[Any]:
    """Remove the messages of a queue and return them."""
    messages = []
    with app.connection_for_read() as connection, connection.default_channel as channel:
        while message := app.amqp.queues[queue](channel).get(no_ack=True):
            messages.append(message)
    return messages


def steps(dispatcher: Dispatcher, task: Task) -> list[tuple[str, tuple[Any, ...]]]:
    return [(signature["task"], tuple(signature["args"])) for signature in dispatcher.canvas(task)]


def options(dispatcher: Dispatcher, task: Task, name: str) -> list[Any]:
    return [signature["options"].get(name) for signature in dispatcher.canvas(task)]


def test_canvas_is_all_steps_then_advance(dispatcher: Dispatcher) -> None:
    task = make_task(definition=task_definition(pre=2, post=1), delivery=3)

    assert steps(dispatcher, task) == [
        ("tork.pre", (task.id, 3, 0)),
        ("tork.pre", (task.id, 3, 1)),
        ("tork.main", (task.id, 3, 2)),
        ("tork.post", (task.id, 3, 3)),
        ("tork.advance", (task.id, 3)),
    ]


def test_canvas_starts_at_the_next_step(dispatcher: Dispatcher) -> None:
    task = make_task(definition=task_definition(pre=1, post=1), step=2)

    assert [name for name, _ in steps(dispatcher, task)] == ["tork.post", "tork.advance"]


@pytest.mark.covers("Task.queue")
def test_steps_go_to_the_queue_of_the_task_and_advance_to_control(dispatcher: Dispatcher) -> None:
    task = make_task(definition=task_definition(pre=1, queue="gpu"))

    assert options(dispatcher, task, "queue") == ["gpu", "gpu", "control"]
    assert options(dispatcher, make_task(), "queue") == ["default", "control"]


def test_running_task_goes_to_its_node_with_highest_priority(dispatcher: Dispatcher) -> None:
    task = make_task(definition=task_definition(pre=1, priority=1), step=1, **RUNNING)

    assert options(dispatcher, task, "queue") == ["node.default@here", "control"]
    assert options(dispatcher, task, "priority") == [9, None]


@pytest.mark.parametrize(
    ("url", "priority", "sent"),
    [
        ("memory://", 0, 0),
        ("memory://", 9, 9),
        ("amqp://127.0.0.1:1//", 7, 7),
        ("redis://127.0.0.1:1/0", 0, 9),
        ("redis://127.0.0.1:1/0", 7, 2),
        ("redis://127.0.0.1:1/0", 9, 0),
        ("redis+socket:///nowhere", 9, 0),
    ],
)
def test_priority_is_translated_to_the_order_of_the_broker(url: str, priority: int, sent: int) -> None:
    with closing(make_app(url)) as app:
        task = make_task(definition=task_definition(priority=priority))

        assert options(Dispatcher(app), task, "priority")[0] == sent


def test_bug_in_a_step_advances_the_task(dispatcher: Dispatcher) -> None:
    task = make_task()

    [link_error, _] = options(dispatcher, task, "link_error")

    assert (link_error["task"], tuple(link_error["args"]), link_error["options"]["queue"]) == (
        "tork.advance",
        (task.id, 1),
        "control",
    )


def test_message_contains_ids_and_names_only(app: Celery, dispatcher: Dispatcher) -> None:
    definition = task_definition(
        env={"TOKEN": SECRET, "PLAIN": SECRET},
        run=f"echo {SECRET}",
        files={"f": SECRET},
        image=f"image:{SECRET}",
        description=SECRET,
        pre=1,
        post=1,
    )
    task = make_task(definition=definition)

    dispatcher.send_all([task])

    [message] = take_messages(app, "default")
    assert message.payload[0] == [task.id, 1, 0]
    assert message.headers["argsrepr"] == f"('a job', 'a task', '{task.id}')"
    assert SECRET not in json.dumps([message.payload, message.headers, message.properties], default=str)


def test_message_carries_the_rest_of_the_chain_with_the_last_step_first(
    app: Celery, dispatcher: Dispatcher
) -> None:
    task = make_task(definition=task_definition(pre=1, post=1))

    dispatcher.send_all([task])

    [message] = take_messages(app, "default")
    assert message.headers["task"] == "tork.pre"
    _, _, embedded = message.payload
    assert [signature["task"] for signature in embedded["chain"]] == [
        "tork.advance",
        "tork.post",
        "tork.main",
    ]


def test_tasks_are_sent_in_order(app: Celery, dispatcher: Dispatcher) -> None:
    tasks = [make_task() for _ in range(3)]

    dispatcher.send_all(tasks)

    assert [message.payload[0][0] for message in take_messages(app, "default")] == [task.id for task in tasks]


def test_long_names_are_truncated(dispatcher: Dispatcher) -> None:
    task = make_task(job_name="j" * 1000, definition=task_definition(name="t" * 1000))

    [argsrepr, _] = options(dispatcher, task, "argsrepr")

    assert len(argsrepr) < 200


def test_depth_counts_messages(dispatcher: Dispatcher) -> None:
    assert dispatcher.depth("default") == 0

    dispatcher.send_all([make_task(), make_task()])

    assert dispatcher.depth("default") == 2
    assert dispatcher.depth("another") == 0
    dispatcher.ping()


def test_purge_removes_messages(app: Celery, dispatcher: Dispatcher) -> None:
    dispatcher.send_all([make_task()])

    dispatcher.purge("default")

    assert dispatcher.depth("default") == 0
    assert take_messages(app, "default") == []


def test_messages_of_several_queues_are_counted(dispatcher: Dispatcher) -> None:
    for queue in ("gpu", "gpu", "slow"):
        dispatcher.send_all([make_task(definition=task_definition(queue=queue))])

    assert dispatcher.count_messages(["gpu", "none", "slow"]) == {"gpu": 2, "none": 0, "slow": 1}


def test_deleted_queue_is_usable_again(app: Celery, dispatcher: Dispatcher) -> None:
    task = make_task(definition=task_definition(queue="gpu"))
    dispatcher.send_all([task])

    dispatcher.delete_unused(["gpu", "none"])
    assert dispatcher.count_messages(["gpu"]) == {"gpu": 0}
    dispatcher.send_all([task])

    assert len(take_messages(app, "gpu")) == 1


def test_control_messages_carry_an_id(app: Celery, dispatcher: Dispatcher) -> None:
    dispatcher.start_children("parent")
    dispatcher.cancel_subjob("subjob")
    dispatcher.end_tasks("job")

    messages = [(message.headers["task"], message.payload[0]) for message in take_messages(app, "control")]
    assert messages == [
        ("tork.start_children", ["parent"]),
        ("tork.cancel_subjob", ["subjob"]),
        ("tork.end_tasks", ["job"]),
    ]


@pytest.mark.slow
@pytest.mark.parametrize("url", ["redis://127.0.0.1:1/0", "amqp://127.0.0.1:1//"])
def test_unreachable_broker_raises_broker_unavailable(url: str) -> None:
    with closing(make_app(url)) as app:
        app.conf.broker_transport_options = {"max_retries": 1, "interval_start": 0}
        dispatcher = Dispatcher(app)

        with pytest.raises(BrokerUnavailable, match="the broker does not answer"):
            dispatcher.send_all([make_task()])
        with pytest.raises(BrokerUnavailable):
            dispatcher.depth("default")
        with pytest.raises(BrokerUnavailable):
            dispatcher.count_messages(["default"])
        with pytest.raises(BrokerUnavailable):
            dispatcher.delete_unused(["default"])
        with pytest.raises(BrokerUnavailable):
            dispatcher.ping()
