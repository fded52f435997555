"""A supervisor keeps processes running, ends them as it is told, and leaves nothing behind."""

import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tork_celery.cli.supervisor import Service, Supervisor

PATIENCE_S = 20.0

# Each says that it is ready by a file, then waits for what it does on a signal.
PROGRAM = """
import pathlib, signal, sys
mark, action = pathlib.Path(sys.argv[1]), sys.argv[2]
def said(number, frame):
    mark.with_suffix("." + signal.Signals(number).name).touch()
    if action != "stubborn":
        sys.exit(0)
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
    signal.signal(number, said)
mark.touch()
while True:
    signal.pause()
"""


@dataclass
class Room:
    """A supervisor with processes that leave marks in a directory."""

    directory: Path
    said: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.supervisor = Supervisor(dict(os.environ), self.said.append)

    def start(self, name: str, action: str = "", **signals: signal.Signals) -> Service:
        command = [sys.executable, "-I", "-S", "-c", PROGRAM, str(self.directory / name), action]
        stop_signals = {signal.Signals[key]: value for key, value in signals.items()}
        service = Service(name=name, command=command, stop_signals=stop_signals)
        self.supervisor.start(service)
        assert self.supervisor.wait((self.directory / name).exists, within_s=PATIENCE_S)
        return service

    def got(self, name: str, number: signal.Signals) -> bool:
        return (self.directory / f"{name}.{number.name}").exists()


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    room = Room(tmp_path)
    with room.supervisor.attentive():
        yield room


def signalled(room: Room, number: signal.Signals) -> None:
    """The supervisor is told to stop, as a terminal or an init system does."""
    os.kill(os.getpid(), number)
    assert room.supervisor.run() is not None


def test_a_process_that_dies_starts_again_and_that_is_said(room: Room) -> None:
    service = room.start("x")
    first = service.process
    assert first is not None
    first.kill()

    def another() -> bool:
        return service.process is not first and service.running

    assert room.supervisor.wait(another, within_s=PATIENCE_S)
    assert room.said == ["x was killed by SIGKILL; it starts again in 0.1 s"]


def test_a_process_that_dies_again_and_again_waits_longer_each_time(room: Room) -> None:
    room.supervisor.start(
        Service(name="x", command=[sys.executable, "-I", "-S", "-c", "raise SystemExit(3)"])
    )

    assert room.supervisor.wait(lambda: len(room.said) == 3, within_s=PATIENCE_S)

    assert room.said == [
        f"x ended with the code 3; it starts again in {delay} s" for delay in (0.1, 0.2, 0.4)
    ]


def test_others_run_on_when_one_dies(room: Room) -> None:
    one, another = room.start("one"), room.start("another")
    before = another.process
    assert one.process is not None
    one.process.kill()

    assert room.supervisor.wait(lambda: len(room.said) == 1, within_s=PATIENCE_S)
    assert another.process is before
    assert another.running


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_to_stop_is_taken_in(room: Room, number: signal.Signals) -> None:
    room.start("x")
    os.kill(os.getpid(), number)

    assert room.supervisor.run() is number
    assert not room.supervisor.wait(lambda: False, within_s=PATIENCE_S)


def test_each_process_is_sent_the_signal_that_is_meant_for_it(room: Room) -> None:
    plain, mapped = room.start("plain"), room.start("mapped", SIGINT=signal.SIGQUIT, SIGTERM=signal.SIGINT)
    signalled(room, signal.SIGINT)

    room.supervisor.stop()

    assert room.got("plain", signal.SIGTERM)
    assert room.got("mapped", signal.SIGQUIT)
    assert not any(service.running for service in (plain, mapped))
    assert room.said == []


def test_the_process_that_was_started_first_ends_last(room: Room) -> None:
    first, second = room.start("first"), room.start("second")
    signalled(room, signal.SIGTERM)

    room.supervisor.stop()

    assert not any(service.running for service in (first, second))
    ended = [(room.directory / f"{name}.SIGTERM").stat().st_mtime_ns for name in ("first", "second")]
    assert ended[0] >= ended[1]


def test_a_second_signal_kills(room: Room) -> None:
    room.start("first")
    stubborn = room.start("stubborn", "stubborn")
    signalled(room, signal.SIGTERM)
    os.kill(os.getpid(), signal.SIGTERM)

    room.supervisor.stop()

    assert not stubborn.running
    assert room.said == ["stopping at once"]


def test_nothing_outlives_the_supervisor(tmp_path: Path) -> None:
    room = Room(tmp_path)
    with pytest.raises(RuntimeError, match="a bug"), room.supervisor.attentive():  # noqa: PT012
        service = room.start("x", "stubborn")
        raise RuntimeError("a bug")

    assert service.process is not None
    assert service.process.returncode == -signal.SIGKILL


def test_signals_are_as_before_when_it_is_over(tmp_path: Path) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)]

    with Room(tmp_path).supervisor.attentive():
        pass

    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)] == before


def test_a_condition_that_does_not_come_true_is_given_up(room: Room) -> None:
    assert not room.supervisor.wait(lambda: False, within_s=0.0)
    assert room.supervisor.wait(lambda: True, within_s=0.0)
