"""A failed task waits before it runs again, longer each time and never longer than its limit."""

import pytest

from tork_celery.domain import retry
from tork_celery.domain.definition import Retry


def delays_s(attempts: int, **values: object) -> list[float]:
    return [retry.delay_s(Retry(limit=10, **values), attempts=number) for number in range(attempts)]


@pytest.mark.covers("Retry.initialDelay")
def test_the_first_delay_doubles_by_default() -> None:
    assert delays_s(4) == [1.0, 2.0, 4.0, 8.0]


@pytest.mark.covers("Retry.scalingFactor")
@pytest.mark.parametrize(
    ("factor", "expected"), [(1, [0.5, 0.5, 0.5]), (3, [0.5, 1.5, 4.5]), (1.5, [0.5, 0.75, 1.125])]
)
def test_it_grows_by_its_factor(factor: float, expected: list[float]) -> None:
    assert delays_s(3, initial_delay="500ms", scaling_factor=factor) == expected


@pytest.mark.covers("Retry.maxDelay")
def test_it_is_never_longer_than_its_limit() -> None:
    assert delays_s(4, initial_delay="10s", max_delay="30s") == [10.0, 20.0, 30.0, 30.0]
    assert delays_s(1, initial_delay="1m", max_delay="1s") == [1.0]
    assert delays_s(10, scaling_factor=10)[-1] == 3600.0


def test_no_delay_stays_none() -> None:
    assert delays_s(3, initial_delay="0s") == [0.0, 0.0, 0.0]
