"""A job that is made again and again."""

from collections.abc import Iterator, Mapping
from typing import Any

from tork_celery.domain.definition import Schedule
from tork_celery.jobfile import validators
from tork_celery.jobfile.fields import Block, Text
from tork_celery.jobfile.jobs import JobSchema
from tork_celery.jobfile.mapping_schema import MappingSchema
from tork_celery.jobfile.source import Path


class ScheduleSchema(MappingSchema):
    cron = Text(required=True, validate=validators.cron_expression)

    def build(self, values: dict[str, Any]) -> Schedule:
        return Schedule(**values)


class ScheduledJobSchema(JobSchema):
    schedule = Block(ScheduleSchema, required=True)

    def conflicts(self, values: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
        yield from super().conflicts(values)
        if "wait" in values:
            yield ("wait",), "nobody waits for a scheduled job; remove `wait`"
