"""Jobs and tasks for tests."""

import itertools
from typing import Any

from tork_celery.domain import transitions
from tork_celery.domain.definition import JobDefinition, StepDefinition, TaskDefinition
from tork_celery.domain.model import Task
from tork_celery.domain.plan import Plan, RandomSource
from tork_celery.domain.states import TaskState

_numbers = itertools.count(1)


def new_id() -> str:
    """Ids in the form of real ones."""
    return f"{next(_numbers):032x}"


RANDOM = RandomSource(new_id=new_id, randbelow=lambda n: n - 1)


def task_definition(*, pre: int = 0, post: int = 0, **values: Any) -> TaskDefinition:
    """A valid task with so many steps before and after its main one."""
    step = StepDefinition(image="busybox", cmd=("true",))
    return TaskDefinition(
        **{
            "name": "a task",
            "image": "busybox",
            "cmd": ("true",),
            "pre": (step,) * pre,
            "post": (step,) * post,
        }
        | values
    )


def job_definition(*definitions: TaskDefinition, name: str = "a job", **values: Any) -> JobDefinition:
    return JobDefinition(name=name, tasks=definitions or (task_definition(),), **values)


def submission(*definitions: TaskDefinition, now: float = 1000.0, name: str = "a job") -> Plan:
    """A new job with its first task."""
    return transitions.submit(job_definition(*definitions, name=name), now=now, random=RANDOM)


def make_task(**values: Any) -> Task:
    """A task that waits for its first claim."""
    return Task(
        **{
            "id": new_id(),
            "job_id": new_id(),
            "job_name": "a job",
            "position": 1,
            "definition": task_definition(),
            "state": TaskState.SCHEDULED,
            "created_at": 1000.0,
        }
        | values
    )
