"""Waits grow up to a limit, with jitter, and can be interrupted."""

import threading

from tork_celery.worker.backoff import InterruptibleBackoff


class RecordingEvent(threading.Event):
    """Records the timeouts of `wait` and returns at once."""

    def __init__(self) -> None:
        super().__init__()
        self.delays_s: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        self.delays_s.append(timeout)
        return self.is_set()


def test_waits_double_up_to_five_seconds() -> None:
    event = RecordingEvent()
    backoff = InterruptibleBackoff(event)

    assert all(backoff.wait() for _ in range(10))

    for delay_s, middle_s in zip(event.delays_s, [0.2, 0.4, 0.8, 1.6, 3.2, 5, 5, 5, 5, 5], strict=True):
        assert 0.75 * middle_s <= delay_s <= 1.25 * middle_s


def test_waits_have_jitter() -> None:
    event = RecordingEvent()

    for _ in range(10):
        InterruptibleBackoff(event).wait()

    assert len(set(event.delays_s)) > 1


def test_interrupt_ends_the_wait() -> None:
    event = RecordingEvent()
    event.set()

    assert not InterruptibleBackoff(event).wait()
