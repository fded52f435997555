"""What a restart runs again: top-level tasks, with all that needs them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tork_celery.domain.allowed_failures import is_done
from tork_celery.domain.definition import TaskDefinition
from tork_celery.domain.errors import InvalidInput, WrongState
from tork_celery.domain.model import Job, Task
from tork_celery.domain.states import JobState
from tork_celery.domain.task_graph import TaskGraph


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartFrom:
    """The task that a user restarts a job from: a name, a var, or the id of any attempt.

    `attempt` is the task with that id, if there is one. With `only`, nothing that needs the task runs again.
    """

    name: str
    only: bool = False
    attempt: Task | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunAgain:
    """The tasks of a job that run again, by index, and the vars of the results that they had.

    `kept` are the other tasks that are done.
    """

    indexes: frozenset[int]
    kept: frozenset[int]
    removed_results: frozenset[str]


def restart(job: Job, current_run: Sequence[Task], start: RestartFrom | None = None) -> RunAgain:
    """Return what runs again: what is not done, the task of `start`, and all that needs one of these.

    Raises WrongState for a job that cannot be restarted, InvalidInput for a task that is not one of its own.
    """
    _check_state(job, start)
    done = {task.position - 1 for task in current_run if is_done(task)}
    chosen = set() if start is None else {_index(job, start)}
    if start is not None and start.only:
        indexes = chosen
    else:
        not_done = set(range(job.task_count)) - done
        indexes = TaskGraph(job.definition.tasks, ordered=True).with_dependents(chosen | not_done)
    definitions = [
        *(job.definition.tasks[index] for index in indexes),
        *(task.definition for task in current_run if task.position - 1 in indexes),  # have rendered vars
    ]
    removed = (var for definition in definitions for var in _vars(definition))
    return RunAgain(
        indexes=frozenset(indexes), kept=frozenset(done - indexes), removed_results=frozenset(removed)
    )


def _check_state(job: Job, start: RestartFrom | None) -> None:
    if not job.state.ended or (job.state is JobState.COMPLETED and start is None):
        hint = "; name a task to run it again `from`" if job.state is JobState.COMPLETED else ""
        raise WrongState(
            f"the job is {job.state}; only one that has failed or was cancelled can be restarted{hint}"
        )


def _index(job: Job, start: RestartFrom) -> int:
    """Return the index of the task to start from. Raises InvalidInput."""
    attempt = start.attempt
    if attempt is not None and attempt.job_id == job.id:
        if attempt.parent_id is not None:
            raise InvalidInput("from: the task is a part of a composite, which runs again as a whole")
        return attempt.position - 1
    found = [index for index, task in enumerate(job.definition.tasks) if start.name in (task.name, task.var)]
    if not found:
        raise InvalidInput("from: no task of the job has this id, name or var")
    if len(found) > 1:
        raise InvalidInput(f"from: {len(found)} tasks of the job have this name or var; use the id")
    return found[0]


def _vars(definition: TaskDefinition) -> Iterator[str]:
    """Yield the vars of a task and of the children that belong to its job."""
    if definition.var:
        yield definition.var
    if definition.subjob is None:
        for child in definition.children:
            yield from _vars(child)
