"""Sample jobs and tasks for tests."""

import itertools
from typing import Any

from tork_celery.domain import transitions
from tork_celery.domain.definition import (
    Each,
    JobDefinition,
    Parallel,
    StepDefinition,
    Subjob,
    TaskDefinition,
)
from tork_celery.domain.model import Task
from tork_celery.domain.plan import Plan, RandomSource
from tork_celery.domain.states import TaskState

_numbers = itertools.count(1)


def new_id() -> str:
    """Return an id in the form of real ones."""
    return f"{next(_numbers):032x}"


RANDOM = RandomSource(new_id=new_id, randbelow=lambda n: n - 1)


def task_definition(*, pre: int = 0, post: int = 0, **values: Any) -> TaskDefinition:
    """Return a valid definition with this number of pre and post steps."""
    step = StepDefinition(image="busybox", cmd=("true",))
    defaults: dict[str, Any] = {
        "name": "a task",
        "image": "busybox",
        "cmd": ("true",),
        "pre": (step,) * pre,
        "post": (step,) * post,
    }
    return TaskDefinition(**(defaults | values))


def leaf(name: str = "leaf", **values: Any) -> TaskDefinition:
    return task_definition(name=name, **values)


def parallel(*tasks: TaskDefinition, **values: Any) -> TaskDefinition:
    return TaskDefinition(name="parallel", parallel=Parallel(tasks=tasks), **values)


def each(items: str, task: TaskDefinition, **values: Any) -> TaskDefinition:
    return TaskDefinition(name="each", each=Each(list=items, task=task, **values))


def subjob(*tasks: TaskDefinition, var: str | None = None, **values: Any) -> TaskDefinition:
    return TaskDefinition(name="subjob", var=var, subjob=Subjob(name="sub", tasks=tasks, **values))


def job_definition(*definitions: TaskDefinition, name: str = "a job", **values: Any) -> JobDefinition:
    return JobDefinition(name=name, tasks=definitions or (task_definition(),), **values)


def submission(*definitions: TaskDefinition, now: float = 1000.0, name: str = "a job") -> Plan:
    """Return the plan of a new job."""
    return transitions.submit(job_definition(*definitions, name=name), now=now, random=RANDOM)


def make_task(**values: Any) -> Task:
    """Return a task that is SCHEDULED."""
    defaults: dict[str, Any] = {
        "id": new_id(),
        "job_id": new_id(),
        "job_name": "a job",
        "position": 1,
        "definition": task_definition(),
        "state": TaskState.SCHEDULED,
        "created_at": 1000.0,
        "job_created_at": 1000.0,
    }
    return Task(**(defaults | values))
