"""The bodies of `PUT .../priority` and `POST /jobs/{id}/rerun`."""

from dataclasses import dataclass
from typing import cast

from tork_celery import jobfile
from tork_celery.domain.rerun import Rerun
from tork_celery.jobfile.fields import Integer, String, docs
from tork_celery.jobfile.mapping_schema import MappingSchema
from tork_celery.jobfile.tasks import PRIORITY_RANGE, variables


@dataclass(frozen=True, slots=True, kw_only=True)
class PriorityChange:
    """A new priority, 0 to 9."""

    priority: int


class PrioritySchema(MappingSchema):
    definition = PriorityChange

    priority = Integer(required=True, validate=PRIORITY_RANGE, metadata=docs("9 is first, 0 is last"))


class RerunSchema(MappingSchema):
    """What is left out stays as it is stored."""

    definition = Rerun

    inputs = variables(docs("inputs that replace the stored ones, by key"))
    secrets = variables(docs("secrets that replace the stored ones, by key"))
    file = String(
        one_line=False,
        metadata=docs("a whole job file in YAML; `[REDACTED]` stands for the stored value of its place"),
    )


def parse_rerun(body: bytes, media_type: str, *, limit_bytes: int) -> Rerun:
    """Return the change in the body, which may be empty. Raises `InvalidInput`, `BodyTooLarge`."""
    if not body:
        return Rerun()
    expected = "a mapping with some of `inputs`, `secrets`, `file`"
    return cast(
        Rerun,
        jobfile.parse_mapping(RerunSchema, body, media_type, expected=expected, limit_bytes=limit_bytes),
    )


def parse_priority(body: bytes, media_type: str, *, limit_bytes: int) -> int:
    """Return the priority in the body. Raises `InvalidInput`, `BodyTooLarge`."""
    found = jobfile.parse_mapping(
        PrioritySchema, body, media_type, expected="a mapping with `priority`", limit_bytes=limit_bytes
    )
    return cast(PriorityChange, found).priority
