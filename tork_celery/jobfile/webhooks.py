"""Whom to tell of what happens to a job."""

from typing import Any

from marshmallow import validate

from tork_celery.domain.definition import Webhook
from tork_celery.domain.identifiers import LONGEST_NAME
from tork_celery.domain.webhooks import EVENTS
from tork_celery.jobfile import validators
from tork_celery.jobfile.fields import Expression, Text, TextMap, at_most
from tork_celery.jobfile.mapping_schema import MappingSchema, renamed

MOST_WEBHOOKS = 100
"""Of a job: each of them is looked at whenever something changes."""


class WebhookSchema(MappingSchema):
    url = Text(required=True, template=True, validate=(at_most(2048), validators.url))
    headers = TextMap(Text(validate=(at_most(LONGEST_NAME), validators.header_name)), Text(template=True))
    event = Text(validate=validate.OneOf(EVENTS, error=f"expected one of {', '.join(EVENTS)}"))
    if_ = Expression(data_key="if")

    def build(self, values: dict[str, Any]) -> Webhook:
        return Webhook(**renamed(values))
