"""The supervisor restarts children, forwards signals to them, and leaves none behind."""

import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tork_celery.cli.standalone.supervised_process import RestartPolicy, Service, SupervisedProcess
from tork_celery.cli.standalone.supervisor import Supervisor

TIMEOUT_S = 20.0

# Creates a file when it has started and one for each signal. Exits on a signal unless its mode is "ignore".
PROGRAM = """
import pathlib, signal, sys
file, mode = pathlib.Path(sys.argv[1]), sys.argv[2]
def handle(number, frame):
    file.with_suffix("." + signal.Signals(number).name).touch()
    if mode != "ignore":
        sys.exit(0)
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
    signal.signal(number, handle)
file.touch()
while True:
    signal.pause()
"""


@dataclass
class Harness:
    """A supervisor, what it reported, and the directory where its children create files."""

    directory: Path
    reports: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.supervisor = Supervisor(dict(os.environ), self.reports.append)

    def start(self, name: str, mode: str = "", **signals: signal.Signals) -> SupervisedProcess:
        """Start a child and wait until it handles signals; `signals` are its `stop_signals` by name."""
        command = [sys.executable, "-I", "-S", "-c", PROGRAM, str(self.directory / name), mode]
        stop_signals = {signal.Signals[key]: value for key, value in signals.items()}
        child = self.supervisor.start(Service(name=name, command=command, stop_signals=stop_signals))
        assert self.supervisor.wait((self.directory / name).exists, within_s=TIMEOUT_S)
        return child

    def receive(self, number: signal.Signals) -> None:
        """Send this process a signal to stop, and run until the supervisor has received it."""
        os.kill(os.getpid(), number)
        assert self.supervisor.run() is number

    def has_received(self, name: str, number: signal.Signals) -> bool:
        return (self.directory / f"{name}.{number.name}").exists()


@pytest.fixture
def harness(tmp_path: Path) -> Iterator[Harness]:
    harness = Harness(tmp_path)
    with harness.supervisor:
        yield harness


def test_dead_child_is_restarted_and_reported(harness: Harness) -> None:
    child = harness.start("x")
    first_pid = child.pid
    child.kill()

    assert harness.supervisor.wait(lambda: child.pid != first_pid and child.running, within_s=TIMEOUT_S)

    assert harness.reports == ["x was killed by SIGKILL; restarting in 0.1 s"]


def test_delay_doubles_at_each_restart(harness: Harness) -> None:
    harness.supervisor.start(
        Service(name="x", command=[sys.executable, "-I", "-S", "-c", "raise SystemExit(3)"])
    )

    assert harness.supervisor.wait(lambda: len(harness.reports) == 3, within_s=TIMEOUT_S)

    assert harness.reports == [f"x exited with code 3; restarting in {delay} s" for delay in (0.1, 0.2, 0.4)]


def test_restart_delay_is_limited_and_starts_over_after_a_stable_run() -> None:
    policy = RestartPolicy()

    delays = [policy.next_delay_s(uptime_s=1.0) for _ in range(9)]

    assert delays[-2:] == [10.0, 10.0]
    assert policy.next_delay_s(uptime_s=31.0) == 0.1
    assert policy.next_delay_s(uptime_s=1.0) == 0.2


def test_other_children_run_on_when_one_dies(harness: Harness) -> None:
    dying, other = harness.start("dying"), harness.start("other")
    other_pid = other.pid
    dying.kill()

    assert harness.supervisor.wait(lambda: len(harness.reports) == 1, within_s=TIMEOUT_S)

    assert other.pid == other_pid
    assert other.running


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_stop_signal_ends_run_and_wait(harness: Harness, number: signal.Signals) -> None:
    harness.start("x")

    harness.receive(number)

    assert not harness.supervisor.wait(lambda: False, within_s=TIMEOUT_S)


def test_each_child_receives_its_own_stop_signal(harness: Harness) -> None:
    default = harness.start("default")
    mapped = harness.start("mapped", SIGINT=signal.SIGQUIT, SIGTERM=signal.SIGINT)
    harness.receive(signal.SIGINT)

    harness.supervisor.stop()

    assert harness.has_received("default", signal.SIGTERM)
    assert harness.has_received("mapped", signal.SIGQUIT)
    assert not any(child.running for child in (default, mapped))
    assert harness.reports == []


def test_child_that_was_started_first_is_stopped_last(harness: Harness) -> None:
    children = [harness.start("first"), harness.start("second")]
    harness.receive(signal.SIGTERM)

    harness.supervisor.stop()

    assert not any(child.running for child in children)
    first, second = (
        (harness.directory / f"{name}.SIGTERM").stat().st_mtime_ns for name in ("first", "second")
    )
    assert first >= second


def test_second_signal_kills(harness: Harness) -> None:
    harness.start("first")
    ignoring = harness.start("ignoring", "ignore")
    harness.receive(signal.SIGTERM)
    os.kill(os.getpid(), signal.SIGTERM)

    harness.supervisor.stop()

    assert not ignoring.running
    assert harness.reports == ["killing the processes that still run"]


def test_children_are_killed_when_the_supervisor_fails(tmp_path: Path) -> None:
    harness = Harness(tmp_path)
    with pytest.raises(RuntimeError, match="a bug"), harness.supervisor:  # noqa: PT012
        child = harness.start("x", "ignore")
        raise RuntimeError("a bug")

    assert child.wait() == -signal.SIGKILL


def test_signal_handlers_are_restored(tmp_path: Path) -> None:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)
    before = [signal.getsignal(number) for number in numbers]

    with Harness(tmp_path).supervisor:
        pass

    assert [signal.getsignal(number) for number in numbers] == before


def test_wait_ends_after_its_timeout(harness: Harness) -> None:
    assert not harness.supervisor.wait(lambda: False, within_s=0.0)
    assert harness.supervisor.wait(lambda: True, within_s=0.0)
