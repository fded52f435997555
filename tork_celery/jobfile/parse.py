"""From the bytes of a job file to its definition.

All of these raise `InvalidInput` with at most 20 faults, or `BodyTooLarge`, and nothing else. With
`image_required=False` (the shell runtime) steps without an image are taken.
"""

import functools
from typing import Literal, NamedTuple, cast

from marshmallow import ValidationError

from tork_celery.domain.definition import JobDefinition, TaskDefinition
from tork_celery.domain.errors import InvalidInput
from tork_celery.domain.user import NewUser
from tork_celery.jobfile.decode import BODY_LIMIT_BYTES, read
from tork_celery.jobfile.faults import faults_in
from tork_celery.jobfile.jobs import JobSchema
from tork_celery.jobfile.mapping_schema import MappingSchema
from tork_celery.jobfile.scheduled_jobs import ScheduledJobSchema
from tork_celery.jobfile.source import Source
from tork_celery.jobfile.tasks import TaskSchema
from tork_celery.jobfile.texts import described
from tork_celery.jobfile.users import UserSchema


class JobFile(NamedTuple):
    """What `tork-celery run FILE` is given: a job, or a task that was made into one."""

    job: JobDefinition
    kind: Literal["job", "task"]


def parse_job(
    body: bytes, media_type: str, *, image_required: bool = True, limit_bytes: int = BODY_LIMIT_BYTES
) -> JobDefinition:
    return _job(_read(body, media_type, limit_bytes), image_required=image_required)


def parse_task(
    body: bytes, media_type: str, *, image_required: bool = True, limit_bytes: int = BODY_LIMIT_BYTES
) -> TaskDefinition:
    return _task(_read(body, media_type, limit_bytes), image_required=image_required)


def parse_scheduled_job(
    body: bytes, media_type: str, *, image_required: bool = True, limit_bytes: int = BODY_LIMIT_BYTES
) -> JobDefinition:
    """The definition has a `schedule`."""
    schema = _schema(ScheduledJobSchema, image_required=image_required)
    return cast(JobDefinition, _load(schema, _read(body, media_type, limit_bytes)))


def parse_file(
    body: bytes, media_type: str, *, image_required: bool = True, limit_bytes: int = BODY_LIMIT_BYTES
) -> JobFile:
    """A job if it has the key `tasks`, else a task, as a job of its own."""
    source = _read(body, media_type, limit_bytes)
    if "tasks" in source.value:
        return JobFile(_job(source, image_required=image_required), "job")
    return JobFile(job_of(_task(source, image_required=image_required)), "task")


def parse_user(body: bytes, media_type: str, *, limit_bytes: int = BODY_LIMIT_BYTES) -> NewUser:
    source = _read(body, media_type, limit_bytes, expected="a mapping with `username` and `password`")
    return cast(NewUser, _load(_schema(UserSchema, image_required=False), source))


def job_of(task: TaskDefinition) -> JobDefinition:
    """The job of this one task, named after it."""
    return JobDefinition(name=cast(str, task.name), tasks=(task,))


def _job(source: Source, *, image_required: bool) -> JobDefinition:
    return cast(JobDefinition, _load(_schema(JobSchema, image_required=image_required), source))


def _task(source: Source, *, image_required: bool) -> TaskDefinition:
    return cast(TaskDefinition, _load(_schema(TaskSchema, image_required=image_required), source))


def _read(
    body: bytes,
    media_type: str,
    limit_bytes: int,
    *,
    expected: str = "a mapping with the keys of a job or task",
) -> Source:
    source = read(body, media_type, limit_bytes=limit_bytes)
    if not isinstance(source.value, dict):
        got = described(source.value)
        raise InvalidInput(source.fault((), f"expected {expected}, got {got}"))
    return source


def _load(schema: MappingSchema, source: Source) -> object:
    try:
        return schema.load(source.value)
    except ValidationError as error:
        faults = faults_in(error.messages, source)
    raise InvalidInput(*faults)


@functools.cache
def _schema(schema: type[MappingSchema], *, image_required: bool) -> MappingSchema:
    return schema(image_required=image_required)
