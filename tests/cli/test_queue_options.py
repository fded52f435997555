"""`--queue NAME:N` says which queues a machine serves, with how many slots."""

import click
import pytest

from tork_celery.cli.standalone import QueueSlots, _queues_once

PARAMETER = click.Option(["--queue"])
CONTEXT = click.Context(click.Command("x"))


def read(*values: tuple[str, int]) -> dict[str, int]:
    return _queues_once(CONTEXT, PARAMETER, values)


@pytest.mark.parametrize(
    ("text", "queue"),
    [("transcoding:3", ("transcoding", 3)), ("a-b.c_d:12", ("a-b.c_d", 12)), ("x:01", ("x", 1))],
)
def test_a_queue_and_its_slots(text: str, queue: tuple[str, int]) -> None:
    assert QueueSlots().convert(text, None, None) == queue
    assert QueueSlots().convert(queue, None, None) == queue


@pytest.mark.parametrize("text", ["", "x", ":3", "x:", "x:0", "x:-1", "x:1.5", "x:y", "x: 1", "x:+1"])
def test_what_is_no_queue_with_slots(text: str) -> None:
    with pytest.raises(click.BadParameter, match="is not NAME:N, such as transcoding:3"):
        QueueSlots().convert(text, None, None)


@pytest.mark.parametrize("name", ["control", "node.x"])
def test_the_systems_own_queues_are_refused(name: str) -> None:
    with pytest.raises(click.BadParameter, match="for itself; choose another name"):
        QueueSlots().convert(f"{name}:1", None, None)


def test_a_queue_has_a_name_that_a_job_could_give_it() -> None:
    with pytest.raises(click.BadParameter, match="'a,b': may hold letters, digits"):
        QueueSlots().convert("a,b:1", None, None)


def test_a_queue_is_named_once() -> None:
    assert read(("a", 1), ("b", 2)) == {"a": 1, "b": 2}
    with pytest.raises(click.BadParameter, match="the queue 'a' is named twice"):
        read(("a", 1), ("a", 1))


def test_without_one_the_default_queue_is_served_by_every_core() -> None:
    [(name, slots)] = read().items()

    assert name == "default"
    assert slots >= 1
