"""What is to be done about a job."""

from dataclasses import dataclass

from tork_celery.domain.model import Job, Task
from tork_celery.domain.states import TaskState


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """`job` as it is to be, tasks to change and to add, and those of them to send. Only the `defined` of
    those to change, by id, have a new definition: their turn has come.

    With `stop`, all other tasks of the job that are active take that state. `subjobs` are jobs that come in
    as tasks of this one. `unfilled` are the composites that have children whose turn has come, too many for
    one transaction: they are to be filled by another plan.
    """

    job: Job
    changed: tuple[Task, ...] = ()
    added: tuple[Task, ...] = ()
    redefined: frozenset[str] = frozenset()
    send: tuple[Task, ...] = ()
    stop: TaskState | None = None
    subjobs: tuple["Plan", ...] = ()
    partly_started: tuple[str, ...] = ()
