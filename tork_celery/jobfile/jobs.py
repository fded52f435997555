"""A job file as a whole."""

from collections.abc import Iterator, Mapping
from typing import Any

from tork_celery.domain.definition import (
    Defaults,
    JobDefinition,
    Permission,
    TaskDefinition,
    Wait,
)
from tork_celery.domain.identifiers import LONGEST_NAME
from tork_celery.jobfile import validators
from tork_celery.jobfile.fields import Block, Duration, Items, Text, Texts, at_most
from tork_celery.jobfile.limits import LimitsSchema
from tork_celery.jobfile.mapping_schema import MappingSchema, renamed
from tork_celery.jobfile.retry import RetrySchema
from tork_celery.jobfile.source import Path
from tork_celery.jobfile.tasks import MOST_TASKS, AutoDeleteSchema, TaskSchema, names_to_texts, priority
from tork_celery.jobfile.webhooks import MOST_WEBHOOKS, WebhookSchema


class DefaultsSchema(MappingSchema):
    retry = Block(RetrySchema)
    limits = Block(LimitsSchema)
    timeout = Duration(template=True)
    queue = Text(template=True, validate=validators.queue)
    priority = priority()

    def build(self, values: dict[str, Any]) -> Defaults:
        return Defaults(**values)


class PermissionSchema(MappingSchema):
    user = Text(validate=at_most(LONGEST_NAME))
    role = Text(validate=at_most(LONGEST_NAME))

    def conflicts(self, values: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
        if len(values) != 1:
            yield ("user",), "a permission is for one `user` or for one `role`"

    def build(self, values: dict[str, Any]) -> Permission:
        return Permission(**values)


class WaitSchema(MappingSchema):
    timeout = Duration(required=True)

    def build(self, values: dict[str, Any]) -> Wait:
        return Wait(**values)


class JobSchema(MappingSchema):
    name = Text(required=True, validate=at_most(LONGEST_NAME))
    description = Text(one_line=False)
    tags = Texts(Text(validate=(validators.not_empty, at_most(LONGEST_NAME))))
    tasks = Items(TaskSchema, required=True, least=1, most=MOST_TASKS)
    inputs = names_to_texts()
    secrets = names_to_texts()
    output = Text(template=True, one_line=False)
    defaults = Block(DefaultsSchema)
    webhooks = Items(WebhookSchema, most=MOST_WEBHOOKS)
    permissions = Items(PermissionSchema)
    autoDelete = Block(AutoDeleteSchema)  # noqa: N815  keys are named as in the file
    wait = Block(WaitSchema)

    def conflicts(self, values: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
        if (number := _number_of(values["tasks"])) > MOST_TASKS:
            yield ("tasks",), f"expected at most {MOST_TASKS:,} with those inside of others, got {number:,}"

    def build(self, values: dict[str, Any]) -> JobDefinition:
        return JobDefinition(**renamed(values))


def _number_of(tasks: tuple[TaskDefinition, ...]) -> int:
    """Those inside of others included."""
    return len(tasks) + sum(_number_of(task.children) for task in tasks if task.is_composite)
