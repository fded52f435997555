"""The most that a task's steps may use."""

from collections.abc import Iterator, Mapping
from typing import Any

from tork_celery.domain.definition import Limits
from tork_celery.jobfile import validators
from tork_celery.jobfile.fields import Amount
from tork_celery.jobfile.mapping_schema import MappingSchema
from tork_celery.jobfile.source import Path


class LimitsSchema(MappingSchema):
    cpus = Amount(template=True, validate=validators.cpus)
    cpu = Amount(template=True, validate=validators.cpus)  # another name for `cpus`
    memory = Amount(template=True, validate=validators.memory)

    def conflicts(self, values: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
        if "cpu" in values and "cpus" in values:
            yield ("cpu",), "another name for `cpus`, which is given too; remove one"

    def build(self, values: dict[str, Any]) -> Limits:
        return Limits(cpus=values.get("cpus", values.get("cpu")), memory=values.get("memory"))
