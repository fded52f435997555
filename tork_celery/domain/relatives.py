"""The tasks of a job that a decision about it needs."""

from collections.abc import Sequence
from typing import Protocol

from tork_celery.domain.model import Task


class Relatives(Protocol):
    """The stored tasks of a job."""

    def task(self, task_id: str) -> Task:
        """The task of that id, which is there."""

    def waiting(self, parent_id: str, limit: int) -> Sequence[Task]:
        """Children whose turn has not come (CREATED), in order."""


class NothingStored:
    """The relatives of what a job begins with: all of them are in its first plan."""

    def task(self, task_id: str) -> Task:
        raise LookupError(task_id)

    def waiting(self, parent_id: str, limit: int) -> Sequence[Task]:
        raise LookupError(parent_id, limit)
