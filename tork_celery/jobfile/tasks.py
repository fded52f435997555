"""A task of a job file: a container to run or a composite of other tasks."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from marshmallow import validate

from tork_celery.domain.definition import AutoDelete, Each, Parallel, Subjob, TaskDefinition
from tork_celery.domain.identifiers import LONGEST_NAME, LONGEST_VAR
from tork_celery.jobfile import validators
from tork_celery.jobfile.fields import (
    Block,
    Duration,
    Expression,
    Flag,
    Items,
    Text,
    TextMap,
    Texts,
    Whole,
    WholeOrTemplate,
    at_most,
)
from tork_celery.jobfile.limits import LimitsSchema
from tork_celery.jobfile.mapping_schema import MappingSchema, renamed
from tork_celery.jobfile.mounts import MountSchema
from tork_celery.jobfile.retry import RetrySchema
from tork_celery.jobfile.source import Path
from tork_celery.jobfile.steps import SidecarSchema, StepSchema
from tork_celery.jobfile.webhooks import MOST_WEBHOOKS, WebhookSchema

MOST_TASKS = 10_000

_BLOCKS = ("parallel", "each", "subjob")
_OF_ANY_COMPOSITE = {"name", "description", "var", "if", "tags"}
_priority_range = validate.Range(0, 9, error="must be from 0 to 9")


def priority() -> WholeOrTemplate:
    return WholeOrTemplate(validate=_priority_range)


def names_to_texts(*, template: bool = False) -> TextMap:
    """Inputs, secrets: the names that expressions use."""
    names = Text(validate=(validators.not_empty, at_most(LONGEST_NAME)))
    return TextMap(names, Text(template=template, one_line=False))


class TaskSchema(StepSchema):
    name = Text(required=True, template=True, validate=at_most(LONGEST_NAME))
    workdir = Text(validate=at_most(256))
    queue = Text(template=True, validate=validators.queue)
    pre = Items(StepSchema)
    post = Items(StepSchema)
    sidecars = Items(SidecarSchema)
    mounts = Items(MountSchema)
    volumes = Texts(Text(validate=validators.target))
    networks = Texts(Text(validate=validators.network))
    limits = Block(LimitsSchema)
    gpus = Text(validate=validators.gpus)
    retry = Block(RetrySchema)
    var = Text(template=True, validate=at_most(LONGEST_VAR))
    if_ = Expression(data_key="if")
    tags = Texts(Text(validate=(validators.not_empty, at_most(LONGEST_NAME))))
    priority = priority()
    parallel = Block(lambda: ParallelSchema)
    each = Block(lambda: EachSchema)
    subjob = Block(lambda: SubjobSchema)

    def requires(self, data: Mapping[str, Any]) -> Iterable[str]:
        keys = super().requires(data)
        composite = any(data.get(block) for block in _BLOCKS)
        return (key for key in keys if not (composite and key == "image"))

    def conflicts(self, values: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
        yield from super().conflicts(values)
        blocks = [block for block in _BLOCKS if block in values]
        if blocks:
            yield from _beside(values, *blocks)
        yield from _mounted_twice(values)

    def build(self, values: dict[str, Any]) -> TaskDefinition:
        return TaskDefinition(**renamed(values))


class _UnnamedTaskSchema(TaskSchema):
    """A task that may be named by its place, or by its item."""

    name = Text(template=True, validate=at_most(LONGEST_NAME))


class ParallelSchema(MappingSchema):
    tasks = Items(_UnnamedTaskSchema, required=True, least=1, most=MOST_TASKS)

    def build(self, values: dict[str, Any]) -> Parallel:
        tasks = enumerate(values["tasks"], start=1)
        return Parallel(
            tasks=tuple(task if task.name else replace(task, name=f"task {n}") for n, task in tasks)
        )


class EachSchema(MappingSchema):
    list = Expression(required=True, hint="write it as an expression, such as {{ sequence(1, 4) }}")
    var = Text(validate=(at_most(LONGEST_VAR), validators.identifier))
    concurrency = Whole(validate=validate.Range(0, 99_999, error="must be from 0 to 99999"))
    task = Block(_UnnamedTaskSchema, required=True)

    def build(self, values: dict[str, Any]) -> Each:
        each = Each(**values)
        if each.task.name:
            return each
        return replace(each, task=replace(each.task, name=f"item {{{{ {each.var}.index }}}}"))


class AutoDeleteSchema(MappingSchema):
    after = Duration(required=True)

    def build(self, values: dict[str, Any]) -> AutoDelete:
        return AutoDelete(**values)


class SubjobSchema(MappingSchema):
    name = Text(required=True, template=True, validate=at_most(LONGEST_NAME))
    description = Text(one_line=False)
    tasks = Items(TaskSchema, required=True, least=1, most=MOST_TASKS)
    inputs = names_to_texts(template=True)
    secrets = names_to_texts(template=True)
    output = Text(template=True, one_line=False)
    detached = Flag()
    autoDelete = Block(AutoDeleteSchema)  # noqa: N815  keys are named as in the file
    webhooks = Items(WebhookSchema, most=MOST_WEBHOOKS)

    def build(self, values: dict[str, Any]) -> Subjob:
        return Subjob(**renamed(values))


def _beside(values: Mapping[str, Any], block: str, *more: str) -> Iterator[tuple[Path, str]]:
    """What may not stand beside the block of a composite."""
    for other in more:
        yield (other,), f"a task has only one of {', '.join(_BLOCKS)}; it has `{block}` too"
    for key in values:
        if key not in _OF_ANY_COMPOSITE and key not in _BLOCKS:
            yield (key,), f"not for a task with `{block}`, which runs no container of its own; remove it"


def _mounted_twice(values: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    mounts, volumes = values.get("mounts", ()), values.get("volumes", ())
    targets: list[tuple[Path, str]] = [
        *((("mounts", index, "target"), mount.target) for index, mount in enumerate(mounts)),
        *((("volumes", index), target) for index, target in enumerate(volumes)),
    ]
    seen = set[str]()
    for path, target in targets:
        normal = validators.normal_target(target)
        if normal in seen:
            yield path, "something is mounted there already"
        seen.add(normal)
