"""Which values of a job are masked: secret by their place, or by their key."""

from collections.abc import Iterable, Iterator, Mapping

from tork_celery import expr
from tork_celery.domain.definition import JobDefinition, StepDefinition, Subjob, TaskDefinition, Webhook
from tork_celery.domain.masking.forms import MIN_CHARS

MAX_VALUES = 1000
MAX_BYTES = 1024 * 1024
"""Most different values of a job that are masked, and their most bytes in UTF-8."""

_SECRET_WORDS = ("SECRET", "PASSWORD", "TOKEN", "ACCESS_KEY", "AUTHORIZATION")

Path = tuple[str | int, ...]
LocatedValue = tuple[Path, str]
"""A value, with the keys and indexes that lead to it in the job file."""


def is_secret(key: str) -> bool:
    """Return whether a key of `env`, `inputs` or `headers` says that its value is secret."""
    return any(word in key.upper() for word in _SECRET_WORDS)


def job_values(definition: JobDefinition) -> frozenset[str]:
    """Return the values that are masked in all texts of a job. Its tasks' are those in `hidden`."""
    inputs = (value for _, value in _secret_values((), definition.inputs))
    return frozenset((*definition.secrets.values(), *inputs, *definition.hidden))


def task_values(definition: TaskDefinition) -> frozenset[str]:
    """Return the values that are masked in all texts of a task whose templates are rendered."""
    nested = _without_templates(_children((), definition))
    return frozenset(value for _, value in (*rendered_values(definition), *nested))


def rendered_values(definition: TaskDefinition) -> Iterator[LocatedValue]:
    """Yield the values of the steps and sidecars of a task."""
    return _own((), definition)


def hidden_values(definition: JobDefinition) -> tuple[str, ...]:
    """Return the values for `hidden`: those of tasks and webhooks, and those that it has already."""
    found = (value for _, value in _without_templates(_outside_of_inputs(definition)))
    hidden = {*definition.hidden, *found} - set(definition.secrets.values())
    return tuple(sorted(value for value in hidden if len(value) >= MIN_CHARS))


def excess(values: Iterable[LocatedValue]) -> tuple[Path, str] | None:
    """Return the place of the first value that exceeds a limit, with the reason. Equal values count once."""
    known, size = set[str](), 0
    for path, value in values:
        if value not in known:
            known.add(value)
            size += len(value.encode("utf-8", "surrogatepass"))
            if len(known) > MAX_VALUES:
                return path, f"more than {MAX_VALUES:,} values of the job are to be masked"
            if size > MAX_BYTES:
                return path, f"the values of the job that are to be masked exceed {MAX_BYTES:,} bytes"
    return None


def located_values(definition: JobDefinition) -> Iterator[LocatedValue]:
    """Yield all values of a job that are masked, except templates: what these yield is not known yet."""
    for key, value in definition.secrets.items():
        yield ("secrets", key), value
    yield from _secret_values(("inputs",), definition.inputs)
    yield from _without_templates(_outside_of_inputs(definition))


def _outside_of_inputs(definition: JobDefinition) -> Iterator[LocatedValue]:
    yield from _of_webhooks(("webhooks",), definition.webhooks)
    for number, task in enumerate(definition.tasks):
        yield from _task(("tasks", number), task)


def _task(path: Path, task: TaskDefinition) -> Iterator[LocatedValue]:
    yield from _own(path, task)
    yield from _children(path, task)


def _own(path: Path, task: TaskDefinition) -> Iterator[LocatedValue]:
    """Yield the values of the steps and sidecars of a task."""
    yield from _step(path, task)
    for key, steps in (("pre", task.pre), ("post", task.post), ("sidecars", task.sidecars)):
        for number, step in enumerate(steps):
            yield from _step((*path, key, number), step)


def _step(path: Path, step: StepDefinition) -> Iterator[LocatedValue]:
    yield from _secret_values((*path, "env"), step.env)
    if step.registry is not None:
        yield (*path, "registry", "password"), step.registry.password


def _children(path: Path, task: TaskDefinition) -> Iterator[LocatedValue]:
    """Yield the values of the tasks in the block of a composite."""
    if task.each:
        yield from _task((*path, "each", "task"), task.each.task)
    elif task.parallel:
        for number, child in enumerate(task.parallel.tasks):
            yield from _task((*path, "parallel", "tasks", number), child)
    elif task.subjob:
        yield from _subjob((*path, "subjob"), task.subjob)


def _subjob(path: Path, subjob: Subjob) -> Iterator[LocatedValue]:
    for key, value in subjob.secrets.items():
        yield (*path, "secrets", key), value
    yield from _secret_values((*path, "inputs"), subjob.inputs)
    yield from _of_webhooks((*path, "webhooks"), subjob.webhooks)
    for number, task in enumerate(subjob.tasks):
        yield from _task((*path, "tasks", number), task)


def _of_webhooks(path: Path, webhooks: Iterable[Webhook]) -> Iterator[LocatedValue]:
    for number, webhook in enumerate(webhooks):
        yield from _secret_values((*path, number, "headers"), webhook.headers)


def _secret_values(path: Path, values: Mapping[str, str]) -> Iterator[LocatedValue]:
    return (((*path, key), value) for key, value in values.items() if is_secret(key))


def _without_templates(values: Iterable[LocatedValue]) -> Iterator[LocatedValue]:
    return ((path, value) for path, value in values if not expr.is_template(value))
