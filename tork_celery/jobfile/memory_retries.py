"""Retries with more memory need a memory limit, which a task or the defaults of its job have."""

from collections.abc import Iterable, Iterator

from tork_celery.domain.definition import Defaults, JobDefinition, TaskDefinition, limits_of
from tork_celery.jobfile.source import Path

MESSAGE = "`retry.memory` needs a limit that can grow; add `limits.memory`"


def without_limit(definition: JobDefinition) -> Iterator[Path]:
    """Yield the paths of tasks whose `retry.memory` has no `limits.memory`."""
    yield from _of_tasks(definition.tasks, definition.defaults or Defaults(), ("tasks",))


def _of_tasks(tasks: Iterable[TaskDefinition], defaults: Defaults, path: Path) -> Iterator[Path]:
    for index, task in enumerate(tasks):
        yield from _of_task(task, defaults, (*path, index))


def _of_task(task: TaskDefinition, defaults: Defaults, path: Path) -> Iterator[Path]:
    if task.parallel:
        yield from _of_tasks(task.parallel.tasks, defaults, (*path, "parallel", "tasks"))
    elif task.each:
        yield from _of_task(task.each.task, defaults, (*path, "each", "task"))
    elif task.subjob:
        yield from _of_tasks(task.subjob.tasks, Defaults(), (*path, "subjob", "tasks"))
    else:
        retry, limits = task.retry or defaults.retry, limits_of(task.limits, defaults.limits)
        if retry and retry.memory and not (limits and limits.memory):
            yield (*path, "retry", "memory") if task.retry else path
