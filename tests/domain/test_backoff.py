"""Delays grow exponentially up to a limit."""

import itertools

import pytest

from tork_celery.domain.backoff import Backoff

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
