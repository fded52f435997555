import os
import signal

import pytest

from scripts import with_engine


@pytest.fixture(autouse=True)
def _signal_handlers() -> object:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(("script", "code"), [("exit 0", 0), ("exit 3", 3), ("kill -TERM $$", 143)])
def test_the_exit_code_is_the_commands(script: str, code: int) -> None:
    assert with_engine.run(["sh", "-c", script], environment=dict(os.environ)) == code


def test_termination_is_passed_on_to_the_command() -> None:
    script = "trap 'exit 7' TERM; kill -TERM $PPID; while :; do sleep 0.1; done"
    assert with_engine.run(["sh", "-c", script], environment=dict(os.environ)) == 7
