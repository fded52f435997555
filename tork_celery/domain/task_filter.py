"""Filters of the list of tasks."""

from dataclasses import dataclass

from tork_celery.domain.states import TaskState


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFilter:
    """Criteria that a task must all meet; None does not count. `job` is the id of its job."""

    id_prefix: str | None = None
    state: TaskState | None = None
    queue: str | None = None
    job: str | None = None


NO_FILTER = TaskFilter()
