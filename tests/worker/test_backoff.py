"""Patience grows, to an end."""

import threading

from tork_celery.worker.backoff import Backoff


class Waits(threading.Event):
    """Waits for nothing, and remembers for how long it should have."""

    def __init__(self) -> None:
        super().__init__()
        self.delays_s: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        self.delays_s.append(timeout)
        return self.is_set()


def test_waits_grow_up_to_a_longest_one() -> None:
    waits = Waits()
    backoff = Backoff(waits)

    assert all(backoff.wait() for _ in range(10))

    for delay_s, middle_s in zip(waits.delays_s, [0.2, 0.4, 0.8, 1.6, 3.2, 5, 5, 5, 5, 5], strict=True):
        assert 0.75 * middle_s <= delay_s <= 1.25 * middle_s


def test_waits_differ_so_that_not_all_come_back_at_once() -> None:
    waits = Waits()

    for _ in range(10):
        Backoff(waits).wait()

    assert len(set(waits.delays_s)) > 1


def test_an_interrupt_ends_the_waiting() -> None:
    waits = Waits()
    waits.set()

    assert not Backoff(waits).wait()
