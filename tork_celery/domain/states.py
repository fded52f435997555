"""The states of jobs and tasks, and the allowed moves between them.

The tables are data: each move has its reason. `Job.with_state` and `Task.with_state` check them, and
docs/development/states.md shows them.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar, overload

from tork_celery.domain.errors import IllegalTransition


class JobState(StrEnum):
    """State of a job. `JOB_MOVES` has the allowed moves."""

    PENDING = "PENDING"
    SCHEDULED = "SCHEDULED"
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"

    @property
    def ended(self) -> bool:
        return self in _ENDED_JOBS


class TaskState(StrEnum):
    """State of a task. `TASK_MOVES` has the allowed moves."""

    CREATED = "CREATED"
    PENDING = "PENDING"
    SCHEDULED = "SCHEDULED"
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    STOPPED = "STOPPED"
    SKIPPED = "SKIPPED"

    @property
    def active(self) -> bool:
        return self in ACTIVE


class Outcome(StrEnum):
    """Result of the steps of a task, recorded before the job is advanced."""

    COMPLETED = "COMPLETED"
    FAILED = "FAILED"


class FailureCause(StrEnum):
    """Cause of the failure of a step, where it is more than an exit code."""

    OUT_OF_MEMORY = "OUT_OF_MEMORY"
    TIMEOUT = "TIMEOUT"


ACTIVE = frozenset({TaskState.CREATED, TaskState.PENDING, TaskState.SCHEDULED, TaskState.RUNNING})
ENDED_EARLY = frozenset({TaskState.CANCELLED, TaskState.STOPPED})
"""A task in one of these states ended before its steps did: a node kills the step that it still runs."""
ACTIVE_JOBS = frozenset({JobState.PENDING, JobState.SCHEDULED, JobState.RUNNING})
HOLDING_SLOT = frozenset({JobState.SCHEDULED, JobState.RUNNING})
"""States in which a job holds a slot of its concurrency key."""
_ENDED_JOBS = frozenset({JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED})

JOB_STARTS: Mapping[JobState, str] = {JobState.PENDING: "submitted"}
"""States in which a new job starts, with the reason."""

JOB_MOVES: Mapping[tuple[JobState, JobState], str] = {
    (JobState.PENDING, JobState.SCHEDULED): "its first task starts",
    # The start of a job that waited is stored in one transaction, which may take it further than SCHEDULED.
    (JobState.PENDING, JobState.RUNNING): "its first task starts, and is a composite",
    (JobState.PENDING, JobState.COMPLETED): "it starts, and all its tasks are skipped",
    (JobState.PENDING, JobState.FAILED): "it starts, and an expression fails",
    (JobState.SCHEDULED, JobState.RUNNING): "a node claims its first task, or the first task is a composite",
    (JobState.SCHEDULED, JobState.COMPLETED): "all its tasks are skipped",
    (JobState.RUNNING, JobState.COMPLETED): "its last task completes",
    (JobState.SCHEDULED, JobState.FAILED): "an expression fails before any node claims a task",
    (JobState.RUNNING, JobState.FAILED): "a task fails, its output cannot be evaluated, or it times out",
    (JobState.PENDING, JobState.CANCELLED): "cancelled by a user",
    (JobState.SCHEDULED, JobState.CANCELLED): "cancelled by a user",
    (JobState.RUNNING, JobState.CANCELLED): "cancelled by a user",
    (JobState.FAILED, JobState.SCHEDULED): "restarted by a user",
    (JobState.CANCELLED, JobState.SCHEDULED): "restarted by a user",
    (JobState.COMPLETED, JobState.SCHEDULED): "run again by a user",
    # A restart is stored in one transaction, which may take the job further than SCHEDULED.
    (JobState.FAILED, JobState.RUNNING): "restarted at a composite",
    (JobState.CANCELLED, JobState.RUNNING): "restarted at a composite",
    (JobState.COMPLETED, JobState.RUNNING): "run again from a composite",
    (JobState.FAILED, JobState.COMPLETED): "restarted, and all remaining tasks are skipped",
    (JobState.CANCELLED, JobState.COMPLETED): "restarted, and all remaining tasks are skipped",
    (JobState.CANCELLED, JobState.FAILED): "restarted, and an expression fails",
    (JobState.COMPLETED, JobState.FAILED): "run again, and an expression fails",
}
"""Allowed moves of a job, (before, after), with the reason."""

TASK_STARTS: Mapping[TaskState, str] = {
    TaskState.CREATED: "added to its job",
    TaskState.PENDING: "added as the next attempt of a failed task",
}
"""States in which a new task starts, with the reason."""

TASK_MOVES: Mapping[tuple[TaskState, TaskState], str] = {
    (TaskState.CREATED, TaskState.SCHEDULED): "started: it waits in its queue",
    (TaskState.CREATED, TaskState.RUNNING): "started: it is a composite, which runs on no node",
    (TaskState.CREATED, TaskState.SKIPPED): "its `if` is false, or a task that it needs has failed",
    (TaskState.CREATED, TaskState.FAILED): "one of its expressions fails",
    (TaskState.CREATED, TaskState.COMPLETED): (
        "a composite that completes as it starts: an empty list, children that are all skipped, or a subjob "
        "that ends at once or is detached"
    ),
    (TaskState.PENDING, TaskState.SCHEDULED): "its retry is due",
    (TaskState.SCHEDULED, TaskState.RUNNING): "claimed by a node",
    (TaskState.RUNNING, TaskState.SCHEDULED): "its node is lost, or releases it",
    (TaskState.RUNNING, TaskState.COMPLETED): "its last step succeeds, or all its children complete",
    (TaskState.RUNNING, TaskState.FAILED): "a step or a child fails, or it loses its node too often",
    (TaskState.CREATED, TaskState.CANCELLED): "its job is cancelled by a user",
    (TaskState.PENDING, TaskState.CANCELLED): "its job is cancelled by a user",
    (TaskState.SCHEDULED, TaskState.CANCELLED): "its job is cancelled by a user",
    (TaskState.RUNNING, TaskState.CANCELLED): "its job is cancelled by a user",
    (TaskState.CREATED, TaskState.STOPPED): "its job fails",
    (TaskState.PENDING, TaskState.STOPPED): "its job fails",
    (TaskState.SCHEDULED, TaskState.STOPPED): "its job fails",
    (TaskState.RUNNING, TaskState.STOPPED): "its job fails",
}
"""Allowed moves of a task, (before, after), with the reason."""

S = TypeVar("S", JobState, TaskState)


def _sources(moves: Mapping[tuple[S, S], str], state: S) -> frozenset[S]:
    return frozenset(before for before, after in moves if after is state)


_JOB_SOURCES = {state: _sources(JOB_MOVES, state) for state in JobState}
_TASK_SOURCES = {state: _sources(TASK_MOVES, state) for state in TaskState}


@overload
def sources(state: JobState) -> frozenset[JobState]: ...
@overload
def sources(state: TaskState) -> frozenset[TaskState]: ...
def sources(state: JobState | TaskState) -> frozenset[JobState] | frozenset[TaskState]:
    """Return the states from which `state` may be entered. It may be empty."""
    if isinstance(state, JobState):
        return _JOB_SOURCES[state]
    return _TASK_SOURCES[state]


def check_job_move(before: JobState, after: JobState) -> None:
    """Raise IllegalTransition unless a job may move from `before` to `after`."""
    if (before, after) not in JOB_MOVES:
        raise IllegalTransition(f"a job cannot move from {before} to {after}")


def check_task_move(before: TaskState, after: TaskState) -> None:
    """Raise IllegalTransition unless a task may move from `before` to `after`."""
    if (before, after) not in TASK_MOVES:
        raise IllegalTransition(f"a task cannot move from {before} to {after}")
