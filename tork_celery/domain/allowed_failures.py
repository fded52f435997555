"""Failures that count as done: those of tasks with `allowFailure`."""

from tork_celery.domain.definition import AllowFailure
from tork_celery.domain.model import Task
from tork_celery.domain.states import TaskState


def is_allowed(failed: Task) -> bool:
    """Return whether the failure of a task, after its last retry, counts as done."""
    allowed = failed.definition.allow_failure
    if isinstance(allowed, AllowFailure):
        return failed.exit_code in allowed.exit_codes
    return allowed is True


def is_done(task: Task) -> bool:
    """Return whether a task that has ended satisfies those that need it."""
    was_skipped = task.state is TaskState.SKIPPED and task.error is None
    has_failed = task.state is TaskState.FAILED
    return was_skipped or task.state is TaskState.COMPLETED or (has_failed and is_allowed(task))
