"""A task of a job file."""

from collections.abc import Iterable
from typing import Any

from marshmallow import ValidationError, post_load, validate, validates_schema

from tork_celery.domain.model import TaskDefinition
from tork_celery.spec import rules
from tork_celery.spec.faults import MOST_FAULTS
from tork_celery.spec.fields import Block, Items, Text, Texts, Whole, at_most
from tork_celery.spec.limits import LimitsSchema
from tork_celery.spec.mounts import MountSchema
from tork_celery.spec.steps import StepSchema

_DOUBLED = "something is mounted there already"


class TaskSchema(StepSchema):
    name = Text(required=True, validate=at_most(rules.LONGEST_NAME))
    workdir = Text(validate=at_most(256))
    queue = Text(validate=(at_most(rules.LONGEST_QUEUE), rules.queue))
    pre = Items(StepSchema)
    post = Items(StepSchema)
    mounts = Items(MountSchema)
    volumes = Texts(Text(validate=rules.target))
    limits = Block(LimitsSchema)
    var = Text(validate=(at_most(64), rules.var))
    tags = Texts(Text(validate=(rules.not_empty, at_most(rules.LONGEST_NAME))))
    priority = Whole(validate=validate.Range(0, 9, error="must be from 0 to 9"))

    @validates_schema
    def refuse_doubled_targets(self, data: dict[str, Any], **_: Any) -> None:
        mounts = [mount.target for mount in data.get("mounts", ())]
        volumes = data.get("volumes", ())
        seen = set[str]()
        faults = {
            "mounts": {i: {"target": [_DOUBLED]} for i in _doubled(mounts, seen)},
            "volumes": {i: [_DOUBLED] for i in _doubled(volumes, seen)},
        }
        if any(faults.values()):
            raise ValidationError(faults)

    @post_load
    def build(self, data: dict[str, Any], **_: Any) -> TaskDefinition:
        return TaskDefinition(**data)


def _doubled(targets: Iterable[str], seen: set[str]) -> list[int]:
    """The indexes of those that were seen before."""
    doubled = []
    for index, target in enumerate(map(rules.normal_target, targets)):
        if target in seen:
            doubled.append(index)
        seen.add(target)
    return doubled[:MOST_FAULTS]
