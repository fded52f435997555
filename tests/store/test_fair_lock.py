"""The writers of a process take turns in the order in which they asked, and none waits without end."""

import threading
from contextlib import ExitStack
from functools import partial

import pytest

from tests.eventually import eventually
from tork_celery.domain.errors import DatastoreUnavailable
from tork_celery.store.fair_lock import FairLock


def _has_waiting(lock: FairLock, number: int) -> bool:
    return len(lock._waiting) == number


def test_lock_is_handed_over_in_the_order_of_the_requests() -> None:
    lock = FairLock(timeout_s=30)
    order = list[int]()

    def take(number: int) -> None:
        with lock.hold():
            order.append(number)

    threads = [threading.Thread(target=take, args=[number]) for number in range(6)]
    with lock.hold():
        for number, thread in enumerate(threads, start=1):
            thread.start()
            eventually(partial(_has_waiting, lock, number))
    for thread in threads:
        thread.join()

    assert order == [0, 1, 2, 3, 4, 5]


def test_holder_that_asks_again_queues_behind_the_others() -> None:
    lock = FairLock(timeout_s=30)
    order = list[str]()

    def take() -> None:
        with lock.hold():
            order.append("other")

    other = threading.Thread(target=take)
    with lock.hold():
        other.start()
        eventually(partial(_has_waiting, lock, 1))
    with lock.hold():
        order.append("again")
    other.join()

    assert order == ["other", "again"]


def test_wait_is_limited() -> None:
    lock = FairLock(timeout_s=0.01)

    with lock.hold():
        with pytest.raises(DatastoreUnavailable, match=r"busy for 0\.01 s"), lock.hold():
            pass
        assert not lock._waiting

    with lock.hold():
        pass


def test_lock_is_free_after_an_error() -> None:
    lock = FairLock(timeout_s=0.01)

    for _ in range(2):
        with ExitStack() as stack:
            stack.enter_context(pytest.raises(RuntimeError))
            stack.enter_context(lock.hold())
            raise RuntimeError
