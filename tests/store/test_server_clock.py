"""The time of a server is asked for once a second, and goes on in between."""

from dataclasses import dataclass

from tork_celery.store.server_clock import ServerClock


@dataclass
class Clocks:
    """The clock of this process and the one of a server, which counts the questions."""

    here_s: float = 5.0
    server_s: float = 1000.0
    questions: int = 0

    def ask(self) -> float:
        self.questions += 1
        return self.server_s

    def advance(self, seconds: float) -> None:
        self.here_s += seconds
        self.server_s += seconds


def test_server_is_asked_once_a_second() -> None:
    clocks = Clocks()
    clock = ServerClock(clocks.ask, clock=lambda: clocks.here_s)

    for _ in range(5):
        assert clock.now() == clocks.server_s
        clocks.advance(0.25)
    assert clocks.questions == 1

    clocks.advance(0.25)
    assert clock.now() == clocks.server_s
    assert clocks.questions == 2


def test_step_of_the_servers_clock_shows_after_a_second() -> None:
    clocks = Clocks()
    clock = ServerClock(clocks.ask, clock=lambda: clocks.here_s)
    clock.now()

    clocks.server_s += 100
    clocks.advance(1.5)

    assert clock.now() == clocks.server_s
