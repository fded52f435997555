"""A command runs with an engine; its exit code and SIGTERM are passed on."""

import os
import signal
from collections.abc import Iterator

import pytest

from scripts import with_engine


@pytest.fixture(autouse=True)
def _restored_signal_handlers() -> Iterator[None]:
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(("script", "code"), [("exit 0", 0), ("exit 3", 3), ("kill -TERM $$", 143)])
def test_exit_code_is_that_of_the_command(script: str, code: int) -> None:
    assert with_engine.run(["sh", "-c", script], environment=dict(os.environ)) == code


def test_sigterm_is_passed_on_to_the_command() -> None:
    script = "trap 'exit 7' TERM; kill -TERM $PPID; while :; do sleep 0.1; done"
    assert with_engine.run(["sh", "-c", script], environment=dict(os.environ)) == 7
