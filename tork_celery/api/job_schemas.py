"""The body of `PUT /jobs/{id}/priority` and `PUT /tasks/{id}/priority`."""

from dataclasses import dataclass
from typing import cast

from tork_celery import jobfile
from tork_celery.jobfile.fields import Integer, docs
from tork_celery.jobfile.mapping_schema import MappingSchema
from tork_celery.jobfile.tasks import PRIORITY_RANGE


@dataclass(frozen=True, slots=True, kw_only=True)
class PriorityChange:
    """A new priority, 0 to 9."""

    priority: int


class PrioritySchema(MappingSchema):
    definition = PriorityChange

    priority = Integer(required=True, validate=PRIORITY_RANGE, metadata=docs("9 is first, 0 is last"))


def parse_priority(body: bytes, media_type: str, *, limit_bytes: int) -> int:
    """Return the priority in the body. Raises `InvalidInput`, `BodyTooLarge`."""
    found = jobfile.parse_mapping(
        PrioritySchema, body, media_type, expected="a mapping with `priority`", limit_bytes=limit_bytes
    )
    return cast(PriorityChange, found).priority
