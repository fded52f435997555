"""Retries of failed tasks: whether there is a next attempt, its memory, and its exponential back-off."""

from dataclasses import replace
from math import isfinite

from tork_celery.domain import durations, quantities
from tork_celery.domain.backoff import Backoff
from tork_celery.domain.definition import Retry, TaskDefinition
from tork_celery.domain.model import Task
from tork_celery.domain.states import FailureCause, TaskState

_DEFAULT_FACTOR = 2.0  # also for the NaN that version 0.1.0 accepted


def next_attempt(failed: Task, *, id_: str, now: float) -> Task | None:
    """Return the next attempt of a failed task, or None after the last one, and for a failure that is not
    retried.

    It is PENDING until its back-off has passed.
    """
    retry = failed.definition.retry
    if retry is None or failed.attempts >= retry.limit or not _is_retried(failed, retry):
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
        definition=_next_definition(failed, retry),
        state=TaskState.PENDING,
        created_at=now,
        job_created_at=failed.job_created_at,
        due_at=now + delay_s(retry, attempts=failed.attempts),
    )


def _is_retried(failed: Task, retry: Retry) -> bool:
    """Return whether a failure is retried by its cause. Without `exitCodes`, `memory` and `timeouts`, all are
    retried."""
    if not (retry.exit_codes or retry.memory or retry.timeouts):
        return True
    if _lacked_memory(failed):
        return retry.memory is not None
    if failed.failure_cause is FailureCause.TIMEOUT:
        return bool(retry.timeouts)
    return failed.exit_code is None or failed.exit_code in retry.exit_codes


def _lacked_memory(failed: Task) -> bool:
    return failed.failure_cause is FailureCause.OUT_OF_MEMORY


def _next_definition(failed: Task, retry: Retry) -> TaskDefinition:
    """Return the definition of the next attempt, with more memory if the task lacked it.

    A limit that is above `memory.max` stays.
    """
    definition, limits = failed.definition, failed.definition.limits
    if not _lacked_memory(failed) or retry.memory is None or limits is None or limits.memory is None:
        return definition
    now_bytes = quantities.memory_bytes(limits.memory)
    next_bytes = int(now_bytes * retry.memory.factor)
    if retry.memory.max is not None:
        next_bytes = max(now_bytes, min(next_bytes, quantities.memory_bytes(retry.memory.max)))
    return replace(definition, limits=replace(limits, memory=str(next_bytes)))


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
