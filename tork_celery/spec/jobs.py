"""A job file as a whole."""

from typing import Any

from tork_celery.domain.model import JobDefinition
from tork_celery.spec import rules
from tork_celery.spec.fields import Items, Text, Texts, at_most
from tork_celery.spec.shape import Shape
from tork_celery.spec.tasks import TaskSchema

MOST_TASKS = 10_000


class JobSchema(Shape):
    name = Text(required=True, validate=at_most(rules.LONGEST_NAME))
    description = Text(one_line=False)
    tags = Texts(Text(validate=(rules.not_empty, at_most(rules.LONGEST_NAME))))
    tasks = Items(TaskSchema, required=True, least=1, most=MOST_TASKS)

    def build(self, values: dict[str, Any]) -> JobDefinition:
        return JobDefinition(**values)
