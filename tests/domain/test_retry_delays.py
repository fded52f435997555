"""Exponential back-off of retries."""

import math
from typing import Any

import pytest

from tork_celery.domain import retry
from tork_celery.domain.definition import Retry


def delays_s(attempts: int, **values: Any) -> list[float]:
    return [retry.delay_s(Retry(limit=10, **values), attempts=number) for number in range(attempts)]


@pytest.mark.covers("Retry.initialDelay")
def test_delay_doubles_by_default() -> None:
    assert delays_s(4) == [1.0, 2.0, 4.0, 8.0]


@pytest.mark.covers("Retry.scalingFactor")
@pytest.mark.parametrize(
    ("factor", "expected"), [(1, [0.5, 0.5, 0.5]), (3, [0.5, 1.5, 4.5]), (1.5, [0.5, 0.75, 1.125])]
)
def test_delay_grows_by_the_scaling_factor(factor: float, expected: list[float]) -> None:
    assert delays_s(3, initial_delay="500ms", scaling_factor=factor) == expected


@pytest.mark.covers("Retry.maxDelay")
def test_delay_is_limited() -> None:
    assert delays_s(4, initial_delay="10s", max_delay="30s") == [10.0, 20.0, 30.0, 30.0]
    assert delays_s(1, initial_delay="1m", max_delay="1s") == [1.0]
    assert delays_s(10, scaling_factor=10)[-1] == 3600.0


def test_delay_of_zero_stays_zero() -> None:
    assert delays_s(3, initial_delay="0s") == [0.0, 0.0, 0.0]


def test_factor_that_is_not_a_number_is_taken_as_the_default() -> None:
    assert delays_s(3, scaling_factor=math.nan) == delays_s(3)
