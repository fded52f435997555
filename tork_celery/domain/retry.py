"""Retries of failed tasks: whether there is a next attempt, and its exponential back-off."""

from math import isfinite

from tork_celery.domain import durations
from tork_celery.domain.backoff import Backoff
from tork_celery.domain.definition import Retry
from tork_celery.domain.model import Task
from tork_celery.domain.states import TaskState

_DEFAULT_FACTOR = 2.0  # also for the NaN that version 0.1.0 accepted


def next_attempt(failed: Task, *, id_: str, now: float) -> Task | None:
    """Return the next attempt of a failed task, or None after the last one.

    It is PENDING until its back-off has passed.
    """
    retry = failed.definition.retry
    if retry is None or failed.attempts >= retry.limit:
        return None
    return Task(
        id=id_,
        first_id=failed.first_id or failed.id,
        attempts=failed.attempts + 1,
        job_id=failed.job_id,
        job_name=failed.job_name,
        parent_id=failed.parent_id,
        index=failed.index,
        scope=failed.scope,
        position=failed.position,
        definition=failed.definition,
        state=TaskState.PENDING,
        created_at=now,
        job_created_at=failed.job_created_at,
        due_at=now + delay_s(retry, attempts=failed.attempts),
    )


def delay_s(retry: Retry, *, attempts: int) -> float:
    """Return the seconds between the failure of an attempt and the next one.

    `attempts` counts the attempts before the failed one. The rule is that of Tork's documentation.
    """
    backoff = Backoff(
        first_s=durations.seconds(retry.initial_delay),
        longest_s=durations.seconds(retry.max_delay),
        factor=retry.scaling_factor if isfinite(retry.scaling_factor) else _DEFAULT_FACTOR,
    )
    return backoff.delay_s(attempts)
