"""How a failed task runs again."""

from typing import Any

from marshmallow import validate

from tork_celery.domain.definition import Retry
from tork_celery.jobfile.fields import Duration, Number, Whole
from tork_celery.jobfile.mapping_schema import MappingSchema, renamed


class RetrySchema(MappingSchema):
    limit = Whole(required=True, validate=validate.Range(1, 10, error="must be from 1 to 10"))
    initialDelay = Duration()  # noqa: N815  keys are named as in the file
    scalingFactor = Number(validate=validate.Range(1, 10, error="must be from 1 to 10"))  # noqa: N815
    maxDelay = Duration()  # noqa: N815

    def build(self, values: dict[str, Any]) -> Retry:
        return Retry(**renamed(values))
