"""Masking, under the names that it had."""

from collections.abc import Callable, Iterable

from tork_celery.domain.masking import MaskedValues
from tork_celery.domain.masking import StreamMask as _StreamMask
from tork_celery.domain.masking import job_values as secrets_of_job
from tork_celery.domain.masking import task_values as secrets_of_task

__all__ = ["Mask", "StreamMask", "masking", "secrets_of_job", "secrets_of_task"]

Mask = Callable[[str], str]


def masking(secrets: Iterable[str]) -> Callable[[str], str]:
    return MaskedValues(list(secrets)).mask


def StreamMask(secrets: Iterable[str]) -> _StreamMask:  # noqa: N802
    return _StreamMask(MaskedValues(list(secrets)).masker())
