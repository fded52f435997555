"""The Procfile starts commands that exist, and a worker for every queue of the system."""

import re
import shlex

import click
import pytest
from celery.bin.celery import celery

from tests.docs.documents import text_of
from tork_celery.cli.main import cli
from tork_celery.domain.queue_names import CONTROL_QUEUE, DEFAULT_QUEUE

PROCESSES = dict(line.split(": ", 1) for line in text_of("Procfile").splitlines() if line)


def words(process: str) -> list[str]:
    """Return the words of a command, with its variables replaced by their defaults."""
    return shlex.split(
        re.sub(r"\$\{?\w+(:-(\w+)|:\?[^}]*)?\}?", lambda match: match[2] or "value", PROCESSES[process])
    )


@pytest.mark.parametrize("process", PROCESSES)
def test_command_exists(process: str) -> None:
    program, *arguments = words(process)
    if program == "celery":
        app, name, command = arguments[:2], arguments[2], celery.commands
        assert app == ["-A", "tork_celery"]
        assert name in command
    else:
        assert program == "tork-celery"
        command = cli.get_command(click.Context(cli), arguments[0])
        assert command is not None
        with command.make_context(arguments[0], arguments[1:]) as context:
            assert isinstance(context, click.Context)


def test_queues_of_the_system_are_served() -> None:
    served = [
        line.partition(" -Q ")[2].split()[0]
        for line in PROCESSES.values()
        if line.startswith("celery -A tork_celery worker")
    ]
    assert {CONTROL_QUEUE, DEFAULT_QUEUE} <= set(served)
    assert len(served) == len(set(served))  # two workers of one queue would have the same node name


def test_no_process_is_a_beat() -> None:
    assert [process for process in PROCESSES if "beat" in words(process)] == []
