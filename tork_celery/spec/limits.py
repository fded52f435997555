"""The most that a task's steps may use."""

from typing import Any

from marshmallow import ValidationError, post_load, validates_schema

from tork_celery.domain.model import Limits
from tork_celery.spec import rules
from tork_celery.spec.fields import Amount
from tork_celery.spec.shape import Shape


class LimitsSchema(Shape):
    cpus = Amount(validate=rules.cpus)
    cpu = Amount(validate=rules.cpus)  # another name for `cpus`
    memory = Amount(validate=rules.memory)

    @validates_schema
    def refuse_both_names(self, data: dict[str, Any], **_: Any) -> None:
        if "cpu" in data and "cpus" in data:
            raise ValidationError("`cpu` is another name for `cpus`; give only one", "cpu")

    @post_load
    def build(self, data: dict[str, Any], **_: Any) -> Limits:
        return Limits(cpus=data.get("cpus", data.get("cpu")), memory=data.get("memory"))
