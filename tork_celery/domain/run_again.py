"""What a restart runs again: top-level tasks, with all that needs them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tork_celery.domain.definition import TaskDefinition
from tork_celery.domain.model import Job, Task
from tork_celery.domain.states import TaskState
from tork_celery.domain.task_graph import TaskGraph


@dataclass(frozen=True, slots=True, kw_only=True)
class RunAgain:
    """The tasks of a job that run again, by index, and the vars of the results that they had."""

    indexes: frozenset[int]
    removed_results: frozenset[str]


def restart(job: Job, current_run: Sequence[Task]) -> RunAgain:
    """Return what is not done in a job, and all that needs it."""
    done = {task.position - 1 for task in current_run if is_done(task)}
    return _run_again(job, current_run, set(range(job.task_count)) - done)


def is_done(task: Task) -> bool:
    """Return whether a task that has ended satisfies those that need it."""
    return task.state in (TaskState.COMPLETED, TaskState.SKIPPED)


def _run_again(job: Job, current_run: Sequence[Task], first: set[int]) -> RunAgain:
    indexes = TaskGraph(job.definition.tasks, ordered=True).with_dependents(first)
    definitions = [
        *(job.definition.tasks[index] for index in indexes),
        *(task.definition for task in current_run if task.position - 1 in indexes),  # have rendered vars
    ]
    removed = (var for definition in definitions for var in _vars(definition))
    return RunAgain(indexes=frozenset(indexes), removed_results=frozenset(removed))


def _vars(definition: TaskDefinition) -> Iterator[str]:
    """Yield the vars of a task and of the children that belong to its job."""
    if definition.var:
        yield definition.var
    if definition.subjob is None:
        for child in definition.children:
            yield from _vars(child)
