"""What follows for a task, as it is published: ids only, in the right queue, in the right order."""

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

SECRET = "hidden in here"
BEGUN: dict[str, Any] = {"state": TaskState.RUNNING, "node": "default@here"}


def an_app(url: str) -> Celery:
    return Celery(
        "canvases",
        broker=url,
        amqp="tork_celery.dispatch.queue_declarations:TaskAMQP",
        set_as_current=False,
        backend="disabled://",
    )


@pytest.fixture
def app() -> Iterator[Celery]:
    with closing(an_app("memory://")) as app:
        yield app


@pytest.fixture
def dispatcher(app: Celery) -> Dispatcher:
    return Dispatcher(app)


def messages(app: Celery, queue: str) -> list[Any]:
    """Takes what waits in a queue."""
    found = []
    with app.connection_for_read() as connection, connection.default_channel as channel:
        while message := app.amqp.queues[queue](channel).get(no_ack=True):
            found.append(message)
    return found


def steps(dispatcher: Dispatcher, task: Task) -> list[tuple[str, tuple[Any, ...]]]:
    return [(signature["task"], tuple(signature["args"])) for signature in dispatcher.canvas(task).tasks]


def options(dispatcher: Dispatcher, task: Task, name: str) -> list[Any]:
    return [signature["options"].get(name) for signature in dispatcher.canvas(task).tasks]


def test_a_task_is_its_steps_and_then_advance(dispatcher: Dispatcher) -> None:
    task = make_task(definition=task_definition(pre=2, post=1), delivery=3)

    assert steps(dispatcher, task) == [
        ("tork.pre", (task.id, 3, 0)),
        ("tork.pre", (task.id, 3, 1)),
        ("tork.main", (task.id, 3, 2)),
        ("tork.post", (task.id, 3, 3)),
        ("tork.advance", (task.id, 3)),
    ]


def test_a_task_goes_on_from_the_step_that_is_next(dispatcher: Dispatcher) -> None:
    task = make_task(definition=task_definition(pre=1, post=1), step=2)

    assert [name for name, _ in steps(dispatcher, task)] == ["tork.post", "tork.advance"]


@pytest.mark.covers("Task.queue")
def test_a_task_goes_to_its_queue_and_advance_to_control(dispatcher: Dispatcher) -> None:
    task = make_task(definition=task_definition(pre=1, queue="gpu"))

    assert options(dispatcher, task, "queue") == ["gpu", "gpu", "control"]
    assert options(dispatcher, make_task(), "queue") == ["default", "control"]


def test_a_task_that_was_begun_goes_to_its_node_before_all_others(dispatcher: Dispatcher) -> None:
    task = make_task(definition=task_definition(pre=1, priority=1), step=1, **BEGUN)

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
def test_the_highest_priority_is_what_the_broker_takes_first(url: str, priority: int, sent: int) -> None:
    with closing(an_app(url)) as app:
        task = make_task(definition=task_definition(priority=priority))

        assert options(Dispatcher(app), task, "priority")[0] == sent


def test_a_bug_in_a_step_advances_the_task(dispatcher: Dispatcher) -> None:
    task = make_task()

    [link, _] = options(dispatcher, task, "link_error")

    assert (link["task"], tuple(link["args"]), link["options"]["queue"]) == (
        "tork.advance",
        (task.id, 1),
        "control",
    )


def test_a_message_holds_ids_and_names_and_nothing_else(app: Celery, dispatcher: Dispatcher) -> None:
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

    dispatcher.send(task)

    [message] = messages(app, "default")
    assert message.payload[0] == [task.id, 1, 0]
    assert message.headers["argsrepr"] == f"('a job', 'a task', '{task.id}')"
    assert SECRET not in json.dumps([message.payload, message.headers, message.properties], default=str)


def test_long_names_are_cut(dispatcher: Dispatcher) -> None:
    task = make_task(job_name="j" * 1000, definition=task_definition(name="t" * 1000))

    [shown, _] = options(dispatcher, task, "argsrepr")

    assert len(shown) < 200


def test_messages_are_counted(dispatcher: Dispatcher) -> None:
    assert dispatcher.depth("default") == 0

    dispatcher.send(make_task())
    dispatcher.send(make_task())

    assert dispatcher.depth("default") == 2
    assert dispatcher.depth("another") == 0
    dispatcher.ping()


@pytest.mark.parametrize("url", ["redis://127.0.0.1:1/0", "amqp://127.0.0.1:1//"])
def test_a_broker_that_is_away_is_said(url: str) -> None:
    with closing(an_app(url)) as app:
        app.conf.broker_transport_options = {"max_retries": 1, "interval_start": 0}
        dispatcher = Dispatcher(app)

        with pytest.raises(BrokerUnavailable, match="the broker does not answer"):
            dispatcher.send(make_task())
        with pytest.raises(BrokerUnavailable):
            dispatcher.depth("default")
        with pytest.raises(BrokerUnavailable):
            dispatcher.ping()
