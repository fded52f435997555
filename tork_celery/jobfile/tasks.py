"""A task: a container to run with its steps, or a composite of other tasks."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from marshmallow import validate

from tork_celery.domain.definition import (
    AllowFailure,
    AutoDelete,
    Each,
    MemoryRetry,
    Parallel,
    Retry,
    Subjob,
    TaskDefinition,
)
from tork_celery.domain.identifiers import LONGEST_NAME, LONGEST_VAR
from tork_celery.jobfile import needs, validators
from tork_celery.jobfile.fields import (
    Boolean,
    BooleanOrNested,
    Duration,
    Expression,
    Integer,
    IntegerList,
    IntegerOrTemplate,
    Nested,
    NestedList,
    Number,
    Quantity,
    QueueName,
    String,
    StringList,
    StringMap,
    docs,
    max_length,
)
from tork_celery.jobfile.mapping_schema import MappingSchema
from tork_celery.jobfile.resources import LimitsSchema, MountSchema
from tork_celery.jobfile.source import Path
from tork_celery.jobfile.steps import SidecarSchema, StepSchema
from tork_celery.jobfile.webhooks import MAX_WEBHOOKS, WebhookSchema

MAX_TASKS = 10_000

_COMPOSITES = ("parallel", "each", "subjob")
_COMPOSITE_KEYS = {"name", "description", "var", "if", "needs", "allowFailure", "tags"}
PRIORITY_RANGE = validate.Range(0, 9, error="must be from 0 to 9")


def variables(metadata: dict[str, str], *, template: bool = False) -> StringMap:
    """Return the field of inputs or secrets: values by the names that expressions use."""
    names = String(validate=(validators.not_empty, max_length(LONGEST_NAME)))
    return StringMap(names, String(template=template, one_line=False), metadata=metadata)


def tags(metadata: dict[str, str]) -> StringList:
    return StringList(String(validate=(validators.not_empty, max_length(LONGEST_NAME))), metadata=metadata)


class MemoryRetrySchema(MappingSchema):
    definition = MemoryRetry

    factor = Number(
        required=True,
        validate=validate.Range(1, 10, error="must be from 1 to 10"),
        metadata=docs("factor by which `limits.memory` grows for the next attempt", "2"),
    )
    max = Quantity(validate=validators.memory, metadata=docs("memory of an attempt at most", "4g"))


class RetrySchema(MappingSchema):
    definition = Retry

    limit = Integer(
        required=True,
        validate=validate.Range(1, 10, error="must be from 1 to 10"),
        metadata=docs("number of retries; the task runs at most `limit` + 1 times", "3"),
    )
    initialDelay = Duration(metadata=docs("delay before the first retry, by default `1s`", "5s"))
    scalingFactor = Number(
        validate=validate.Range(1, 10, error="must be from 1 to 10"),
        metadata=docs("factor by which the delay grows with each further retry, by default `2`", "1.5"),
    )
    maxDelay = Duration(metadata=docs("maximum delay, by default `1h`", "1m"))
    exitCodes = IntegerList(
        Integer(validate=validate.Range(1, 255, error="must be from 1 to 255")),
        metadata=docs("exit codes that are retried", "[75, 111]"),
    )
    memory = Nested(
        MemoryRetrySchema,
        metadata=docs(
            "retries a step that exceeded its memory limit, with more memory", "{factor: 2, max: 4g}"
        ),
    )
    timeouts = Boolean(metadata=docs("whether timeouts are retried", "true"))


class AllowFailureSchema(MappingSchema):
    definition = AllowFailure

    exitCodes = IntegerList(
        Integer(validate=validate.Range(1, 255, error="must be from 1 to 255")),
        required=True,
        metadata=docs("exit codes of the failing step with which the failure is allowed", "[2, 3]"),
    )


class TaskSchema(StepSchema):
    definition = TaskDefinition

    name = String(
        required=True,
        template=True,
        validate=max_length(LONGEST_NAME),
        metadata=docs("name, shown everywhere; 256 characters at most", "convert the video"),
    )
    workdir = String(
        validate=max_length(256),
        metadata=docs(
            "work directory of the main step, with its `files`; 256 characters at most. By default "
            "`/tork/workdir` if the step has `files`, otherwise that of the image",
            "/srv",
        ),
    )
    queue = QueueName(
        metadata=docs(
            "queue whose workers run the task, by default `default`; letters, digits, `.`, `_` and `-`, 128 "
            "characters at most",
            "transcoding",
        ),
    )
    pre = NestedList(StepSchema, metadata=docs("steps that run before the main step, in order"))
    post = NestedList(StepSchema, metadata=docs("steps that run after the main step, in order"))
    sidecars = NestedList(
        SidecarSchema,
        metadata=docs("containers that run beside the main step: started before it, removed after it"),
    )
    mounts = NestedList(MountSchema, metadata=docs("mounts; the long form of `volumes`"))
    volumes = StringList(
        String(validate=validators.target),
        metadata=docs(
            "paths of empty volumes that all steps of the task share, removed after the last step", "[/data]"
        ),
    )
    networks = StringList(
        String(validate=validators.network),
        metadata=docs("networks of the engine that all steps and sidecars join", "[office]"),
    )
    limits = Nested(
        LimitsSchema,
        metadata=docs("limits of CPU and memory for each step", '{cpus: "0.5", memory: 500m}'),
    )
    gpus = String(
        validate=validators.gpus,
        metadata=docs(
            "GPUs of the main step, as for `docker run --gpus`: `all`, a number, or `device=0,1`, which may "
            "have quotes of its own",
            "all",
        ),
    )
    retry = Nested(
        RetrySchema,
        metadata=docs("how a failed task is retried; by default it is not", "{limit: 3}"),
    )
    var = String(
        template=True,
        validate=max_length(LONGEST_VAR),
        metadata=docs(
            "name of the result in the job's `context.tasks`; 64 characters at most. Expressions read a name "
            'with other characters than letters, digits and `_` as `tasks["my-var"]`',
            "total",
        ),
    )
    if_ = Expression(
        data_key="if",
        metadata=docs("condition: the task is skipped if it yields `false`", 'inputs.month != ""'),
    )
    needs = StringList(
        String(validate=validators.not_empty),
        metadata=docs(
            "names or vars of tasks above it in the same list: the task begins when these are done. Without "
            "the key it needs all tasks above it, or none inside `parallel`; `[]` begins at once",
            "[]",
        ),
    )
    allowFailure = BooleanOrNested(
        AllowFailureSchema,
        metadata=docs(
            "a failure after the last retry counts as done: the job gets no error, and goes on", "true"
        ),
    )
    tags = tags(docs("labels for people", "[slow]"))
    priority = IntegerOrTemplate(
        validate=PRIORITY_RANGE,
        metadata=docs(
            "order in the queue: 9 is first, 0 is the default; tasks that have begun precede all others", "9"
        ),
    )
    parallel = Nested(lambda: ParallelSchema, metadata=docs("composite: tasks that run at the same time"))
    each = Nested(lambda: EachSchema, metadata=docs("composite: a task that runs for every item of a list"))
    subjob = Nested(lambda: SubjobSchema, metadata=docs("composite: a job that runs as a task"))

    def requires(self, data: Mapping[str, Any]) -> Iterable[str]:
        keys = super().requires(data)
        is_composite = any(data.get(key) for key in _COMPOSITES)
        return (key for key in keys if not (is_composite and key == "image"))

    def conflicts(self, values: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
        yield from super().conflicts(values)
        composites = [key for key in _COMPOSITES if key in values]
        if composites:
            yield from _composite_conflicts(values, *composites)
        yield from _mount_conflicts(values)


class _UnnamedTaskSchema(TaskSchema):
    """A task of `parallel` or `each`, which has a default name."""

    name = String(
        template=True,
        validate=max_length(LONGEST_NAME),
        metadata=docs("name, by default from the position or the item; 256 characters at most"),
    )


class ParallelSchema(MappingSchema):
    definition = Parallel

    tasks = NestedList(
        _UnnamedTaskSchema,
        required=True,
        min_items=1,
        max_items=MAX_TASKS,
        metadata=docs("tasks, sent to their queues at once; the default name is the position, `task 1`"),
    )

    def conflicts(self, values: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
        yield from needs_faults(_named(values["tasks"]))

    def build(self, values: dict[str, Any]) -> Parallel:
        return Parallel(tasks=_named(values["tasks"]))


class EachSchema(MappingSchema):
    definition = Each

    list = Expression(
        required=True,
        metadata=docs("expression that yields the list, of 100,000 items at most", '"{{ sequence(1, 4) }}"'),
    )
    var = String(
        validate=(max_length(LONGEST_VAR), validators.identifier),
        metadata=docs(
            "name of the item in expressions of the task, by default `item`; letters, digits and `_`", "page"
        ),
    )
    concurrency = Integer(
        validate=validate.Range(0, 99_999, error="must be from 0 to 99999"),
        metadata=docs(
            "maximum number of items that run at the same time; 0, the default, is 10,000 with waiting ones",
            "5",
        ),
    )
    task = Nested(
        _UnnamedTaskSchema,
        required=True,
        metadata=docs("task, which may be a composite; the default name is `item 0` for the first item"),
    )

    def conflicts(self, values: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
        if values["task"].needs is not None:
            yield ("task", "needs"), "not allowed in the task of `each`, which has no siblings; remove it"

    def build(self, values: dict[str, Any]) -> Each:
        each: Each = super().build(values)
        if each.task.name:
            return each
        return replace(each, task=replace(each.task, name=f"item {{{{ {each.var}.index }}}}"))


class AutoDeleteSchema(MappingSchema):
    definition = AutoDelete

    after = Duration(
        required=True,
        metadata=docs("time from the end of the job to its deletion, with its tasks and logs", "24h"),
    )


class SubjobSchema(MappingSchema):
    definition = Subjob

    name = String(
        required=True,
        template=True,
        validate=max_length(LONGEST_NAME),
        metadata=docs("name of the job", "report"),
    )
    description = String(one_line=False, metadata=docs("description for people", "the details"))
    tasks = NestedList(
        TaskSchema,
        required=True,
        min_items=1,
        max_items=MAX_TASKS,
        metadata=docs("tasks, as in a job"),
    )
    inputs = variables(
        docs(
            "values that its expressions see as `inputs.NAME`; they see none of the parent's inputs",
            '{month: "{{ inputs.month }}"}',
        ),
        template=True,
    )
    secrets = variables(docs("secrets, as in a job", '{key: "{{ secrets.key }}"}'), template=True)
    output = String(
        template=True,
        one_line=False,
        metadata=docs("result of the job, which is the result of the task", '"{{ tasks.total }}"'),
    )
    detached = Boolean(
        metadata=docs("the task completes as soon as the job is created, and does not wait for it", "true")
    )
    autoDelete = Nested(
        AutoDeleteSchema, metadata=docs("when the job is deleted after its end", "{after: 1h}")
    )
    webhooks = NestedList(
        WebhookSchema,
        max_items=MAX_WEBHOOKS,
        metadata=docs("webhooks, as in a job; their expressions see the values of the parent job"),
    )

    def conflicts(self, values: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
        yield from needs_faults(values["tasks"])


def needs_faults(tasks: Sequence[TaskDefinition]) -> Iterator[tuple[Path, str]]:
    """Yield the faults of `needs` in the list at the key `tasks`."""
    return ((("tasks", *path), message) for path, message in needs.faults(tasks))


def _named(tasks: Sequence[TaskDefinition]) -> tuple[TaskDefinition, ...]:
    """Return the tasks of a `parallel`, those without a name named after their position."""
    numbered = enumerate(tasks, start=1)
    return tuple(task if task.name else replace(task, name=f"task {number}") for number, task in numbered)


def _composite_conflicts(
    values: Mapping[str, Any], composite: str, *others: str
) -> Iterator[tuple[Path, str]]:
    for other in others:
        yield (other,), f"a task takes only one of {', '.join(_COMPOSITES)}; it also has `{composite}`"
    if isinstance(values.get("allowFailure"), AllowFailure):
        yield ("allowFailure",), f"a task with `{composite}` has no exit code; write `true`"
    for key in values:
        if key not in _COMPOSITE_KEYS and key not in _COMPOSITES:
            yield (key,), f"not allowed in a task with `{composite}`, which runs no container; remove it"


def _mount_conflicts(values: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    mounts, volumes = values.get("mounts", ()), values.get("volumes", ())
    targets: list[tuple[Path, str]] = [
        *((("mounts", index, "target"), mount.target) for index, mount in enumerate(mounts)),
        *((("volumes", index), target) for index, target in enumerate(volumes)),
    ]
    seen = set[str]()
    for path, target in targets:
        normal = validators.normal_target(target)
        if normal in seen:
            yield path, "another mount has this target"
        seen.add(normal)
