"""The webhooks of a job or subjob."""

from marshmallow import validate

from tork_celery.domain.definition import Webhook
from tork_celery.domain.identifiers import LONGEST_NAME
from tork_celery.domain.webhooks import EVENTS
from tork_celery.jobfile import validators
from tork_celery.jobfile.fields import Expression, String, StringMap, docs, max_length
from tork_celery.jobfile.mapping_schema import MappingSchema

MAX_WEBHOOKS = 100
"""Webhooks of a job: each state change evaluates all of them."""


class WebhookSchema(MappingSchema):
    definition = Webhook

    url = String(
        required=True,
        template=True,
        validate=(max_length(2048), validators.url),
        metadata=docs("URL of the POST request, http or https", '"https://example.com/{{ job.id }}"'),
    )
    headers = StringMap(
        String(validate=(max_length(LONGEST_NAME), validators.header_name)),
        String(template=True),
        metadata=docs(
            "headers of the request in addition to `Content-Type: application/json`",
            '{Authorization: "Bearer {{ secrets.token }}"}',
        ),
    )
    event = String(
        validate=validate.OneOf(EVENTS, error=f"expected one of {', '.join(EVENTS)}"),
        metadata=docs(
            "`job.StateChange` (the default), `job.Progress`, `task.StateChange` or `task.Progress`",
            "task.StateChange",
        ),
    )
    if_ = Expression(
        data_key="if",
        metadata=docs("condition: the request is not sent if it yields `false`", 'job.state == "FAILED"'),
    )
