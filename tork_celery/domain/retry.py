"""When a failed task runs again: exponential back-off, as Tork's documentation has it."""

from tork_celery.domain import durations
from tork_celery.domain.definition import Retry


def delay_s(retry: Retry, *, attempts: int) -> float:
    """The seconds to wait after the attempt number `attempts` (the first is 0) has failed."""
    longest = durations.seconds(retry.max_delay)
    grown = durations.seconds(retry.initial_delay) * min(retry.scaling_factor**attempts, longest + 1)
    return min(grown, longest)
