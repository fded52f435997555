"""Delays grow exponentially up to a limit."""

import itertools

import pytest

from tork_celery.domain.backoff import Backoff, Retries, RetryLimit

MANY = 10_000


@pytest.mark.parametrize(
    ("backoff", "delays_s"),
    [
        (Backoff(first_s=1.0, longest_s=60.0), [1.0, 2.0, 4.0, 8.0]),
        (Backoff(first_s=1.0, longest_s=3.0), [1.0, 2.0, 3.0, 3.0]),
        (Backoff(first_s=2.0, longest_s=250.0, factor=5.0), [2.0, 10.0, 50.0, 250.0]),
        (Backoff(first_s=5.0, longest_s=1.0), [1.0, 1.0, 1.0, 1.0]),
        (Backoff(first_s=0.0, longest_s=1.0), [0.0, 0.0, 0.0, 0.0]),
        (Backoff(first_s=0.5, longest_s=1.0, factor=1.0), [0.5, 0.5, 0.5, 0.5]),
    ],
)
def test_delays_grow_by_the_factor_up_to_the_longest(backoff: Backoff, delays_s: list[float]) -> None:
    assert [backoff.delay_s(retry) for retry in range(4)] == delays_s
    assert list(itertools.islice(backoff.delays_s(), 4)) == delays_s


def test_many_retries_do_not_overflow() -> None:
    backoff = Backoff(first_s=0.001, longest_s=3600.0)

    assert backoff.delay_s(MANY) == 3600.0
    assert next(itertools.islice(backoff.delays_s(), MANY, None)) == 3600.0
    assert Backoff(first_s=0.0, longest_s=1.0).delay_s(MANY) == 0.0


LIMIT = RetryLimit(tries=3, within_s=10.0, backoff=Backoff(first_s=2.0, longest_s=5.0, factor=2.5))


@pytest.mark.parametrize(
    ("failures", "elapsed_s", "delay_s"), [(1, 0.0, 2.0), (2, 2.0, 5.0), (3, 7.0, None), (1, 9.0, None)]
)
def test_limit_ends_by_tries_and_by_time(failures: int, elapsed_s: float, delay_s: float | None) -> None:
    assert LIMIT.delay_s(failures, elapsed_s=elapsed_s) == delay_s


def test_each_call_has_a_limit_of_its_own() -> None:
    retries = Retries()

    delays_s = [retries.delay_s("create", LIMIT, now_s=now_s) for now_s in (100.0, 102.0, 107.0)]

    assert delays_s == [2.0, 5.0, None]
    assert retries.delay_s("start", LIMIT, now_s=107.0) == 2.0
