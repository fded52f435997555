"""The states of jobs and tasks, and the moves between them that are legal."""

from enum import StrEnum


class JobState(StrEnum):
    """Where a job stands: `JOB_MOVES` says what comes after what."""

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
    """Where a task stands: `TASK_MOVES` says what comes after what."""

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
    """How the steps of a task ended, before its job has moved on."""

    COMPLETED = "COMPLETED"
    FAILED = "FAILED"


ACTIVE = frozenset({TaskState.CREATED, TaskState.PENDING, TaskState.SCHEDULED, TaskState.RUNNING})
ENDED_EARLY = frozenset({TaskState.CANCELLED, TaskState.STOPPED})
"""Ended while there was more to do: what a node still runs of it is to be stopped."""
ACTIVE_JOBS = frozenset({JobState.PENDING, JobState.SCHEDULED, JobState.RUNNING})
_ENDED_JOBS = frozenset({JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED})

JOB_MOVES = frozenset(
    {
        (JobState.PENDING, JobState.SCHEDULED),  # its first task was sent
        (JobState.SCHEDULED, JobState.RUNNING),  # a node claimed its first task
        (JobState.RUNNING, JobState.COMPLETED),  # its last task is done
        (JobState.SCHEDULED, JobState.COMPLETED),  # all its tasks were skipped
        (JobState.SCHEDULED, JobState.FAILED),  # its first task failed before a node claimed it
        (JobState.RUNNING, JobState.FAILED),  # a task failed
        (JobState.SCHEDULED, JobState.CANCELLED),  # by a user
        (JobState.RUNNING, JobState.CANCELLED),  # by a user
        (JobState.FAILED, JobState.SCHEDULED),  # restarted by a user
        (JobState.CANCELLED, JobState.SCHEDULED),
        (JobState.FAILED, JobState.RUNNING),  # restarted with a composite
        (JobState.CANCELLED, JobState.RUNNING),
        (JobState.FAILED, JobState.COMPLETED),  # restarted, and all that is left is skipped
        (JobState.CANCELLED, JobState.COMPLETED),
        (JobState.CANCELLED, JobState.FAILED),  # restarted with a task whose expression fails
    }
)

TASK_MOVES = frozenset(
    {
        (TaskState.CREATED, TaskState.SCHEDULED),  # its turn has come
        (TaskState.CREATED, TaskState.RUNNING),  # the turn of a composite
        (TaskState.CREATED, TaskState.SKIPPED),  # its `if` says so
        (TaskState.CREATED, TaskState.FAILED),  # an expression of it failed
        (TaskState.CREATED, TaskState.COMPLETED),  # an `each` over nothing
        (TaskState.PENDING, TaskState.SCHEDULED),  # the time of its retry has come
        (TaskState.SCHEDULED, TaskState.RUNNING),  # claimed by a node
        (TaskState.RUNNING, TaskState.SCHEDULED),  # its node was lost, or gave it back
        (TaskState.RUNNING, TaskState.COMPLETED),  # its last step succeeded
        (TaskState.RUNNING, TaskState.FAILED),  # a step failed, or it lost too many nodes
        (TaskState.PENDING, TaskState.RUNNING),  # claimed at the time of its retry
        (TaskState.CREATED, TaskState.CANCELLED),  # by a user, like the next three
        (TaskState.PENDING, TaskState.CANCELLED),
        (TaskState.SCHEDULED, TaskState.CANCELLED),
        (TaskState.RUNNING, TaskState.CANCELLED),
        (TaskState.CREATED, TaskState.STOPPED),  # a sibling or the job has failed, like the next three
        (TaskState.PENDING, TaskState.STOPPED),
        (TaskState.SCHEDULED, TaskState.STOPPED),
        (TaskState.RUNNING, TaskState.STOPPED),
    }
)
