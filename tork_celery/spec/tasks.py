"""A task of a job file."""

from collections.abc import Iterator, Mapping
from typing import Any

from marshmallow import validate

from tork_celery.domain.model import TaskDefinition
from tork_celery.spec import rules
from tork_celery.spec.fields import Block, Items, Text, Texts, Whole, at_most
from tork_celery.spec.limits import LimitsSchema
from tork_celery.spec.mounts import MountSchema
from tork_celery.spec.retry import RetrySchema
from tork_celery.spec.source import Path
from tork_celery.spec.steps import StepSchema


class TaskSchema(StepSchema):
    name = Text(required=True, validate=at_most(rules.LONGEST_NAME))
    workdir = Text(validate=at_most(256))
    queue = Text(validate=rules.queue)
    pre = Items(StepSchema)
    post = Items(StepSchema)
    mounts = Items(MountSchema)
    volumes = Texts(Text(validate=rules.target))
    limits = Block(LimitsSchema)
    retry = Block(RetrySchema)
    var = Text(validate=(at_most(64), rules.var))
    tags = Texts(Text(validate=(rules.not_empty, at_most(rules.LONGEST_NAME))))
    priority = Whole(validate=validate.Range(0, 9, error="must be from 0 to 9"))

    def conflicts(self, values: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
        yield from super().conflicts(values)
        mounts, volumes = values.get("mounts", ()), values.get("volumes", ())
        targets: list[tuple[Path, str]] = [
            *((("mounts", index, "target"), mount.target) for index, mount in enumerate(mounts)),
            *((("volumes", index), target) for index, target in enumerate(volumes)),
        ]
        seen = set[str]()
        for path, target in targets:
            normal = rules.normal_target(target)
            if normal in seen:
                yield path, "something is mounted there already"
            seen.add(normal)

    def build(self, values: dict[str, Any]) -> TaskDefinition:
        return TaskDefinition(**values)
