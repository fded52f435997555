"""`--queue NAME:N` sets the queues of a standalone system and their slots."""

import os

import click
import pytest

from tork_celery.cli.standalone.queue_option import QueueSlotsType, slots_by_queue

PARAMETER = click.Option(["--queue"])
CONTEXT = click.Context(click.Command("x"))


def collect(*values: tuple[str, int]) -> dict[str, int]:
    return slots_by_queue(CONTEXT, PARAMETER, values)


@pytest.mark.parametrize(
    ("text", "queue"),
    [("transcoding:3", ("transcoding", 3)), ("a-b.c_d:12", ("a-b.c_d", 12)), ("x:01", ("x", 1))],
)
def test_value_is_a_queue_and_its_slots(text: str, queue: tuple[str, int]) -> None:
    assert QueueSlotsType().convert(text, None, None) == queue
    assert QueueSlotsType().convert(queue, None, None) == queue


@pytest.mark.parametrize("text", ["", "x", ":3", "x:", "x:0", "x:-1", "x:1.5", "x:y", "x: 1", "x:+1"])
def test_malformed_value_is_rejected(text: str) -> None:
    with pytest.raises(click.BadParameter, match="is not NAME:N; write it like transcoding:3"):
        QueueSlotsType().convert(text, None, None)


@pytest.mark.parametrize("name", ["control", "node.x"])
def test_reserved_queue_is_rejected(name: str) -> None:
    with pytest.raises(click.BadParameter, match="for itself; choose another name"):
        QueueSlotsType().convert(f"{name}:1", None, None)


def test_invalid_queue_name_is_rejected() -> None:
    with pytest.raises(click.BadParameter, match="'a,b': may hold letters, digits"):
        QueueSlotsType().convert("a,b:1", None, None)


def test_duplicate_queue_is_rejected() -> None:
    assert collect(("a", 1), ("b", 2)) == {"a": 1, "b": 2}
    with pytest.raises(click.BadParameter, match="the queue 'a' is given twice; give each queue once"):
        collect(("a", 1), ("a", 1))


def test_default_queue_has_a_slot_per_core() -> None:
    assert collect() == {"default": os.cpu_count()}
