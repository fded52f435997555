"""The states of jobs and tasks, and the moves between them that are legal."""

from enum import StrEnum


class JobState(StrEnum):
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
_ENDED_JOBS = frozenset({JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED})

JOB_MOVES = frozenset(
    {
        (JobState.PENDING, JobState.SCHEDULED),  # its first task was sent
        (JobState.SCHEDULED, JobState.RUNNING),  # a node claimed its first task
        (JobState.RUNNING, JobState.COMPLETED),  # its last task is done
        (JobState.SCHEDULED, JobState.FAILED),  # its first task failed before a node claimed it
        (JobState.RUNNING, JobState.FAILED),  # a task failed
        (JobState.SCHEDULED, JobState.CANCELLED),  # by a user
        (JobState.RUNNING, JobState.CANCELLED),  # by a user
        (JobState.FAILED, JobState.SCHEDULED),  # restarted by a user
        (JobState.CANCELLED, JobState.SCHEDULED),  # restarted by a user
    }
)

TASK_MOVES = frozenset(
    {
        (TaskState.CREATED, TaskState.SCHEDULED),  # its turn has come
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
    }
)
