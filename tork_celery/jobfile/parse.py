"""Parse the bytes of a job file to its definition.

Each function raises `InvalidInput` with at most 20 faults, or `BodyTooLarge`, and nothing else. With
`image_required=False` (the shell runtime) steps need no image.
"""

import functools
from itertools import islice
from typing import Literal, NamedTuple, cast

from marshmallow import ValidationError

from tork_celery.domain.definition import JobDefinition, TaskDefinition
from tork_celery.domain.errors import MOST_FAULTS, InvalidInput
from tork_celery.domain.masking import excess, located_values
from tork_celery.jobfile import memory_retries
from tork_celery.jobfile.decode import BODY_LIMIT_BYTES, read
from tork_celery.jobfile.faults import flatten
from tork_celery.jobfile.jobs import JobSchema, ScheduledJobSchema
from tork_celery.jobfile.mapping_schema import MappingSchema
from tork_celery.jobfile.source import Path, Source, describe
from tork_celery.jobfile.tasks import TaskSchema

_KEYS_EXPECTED = "a mapping with the keys of a job or task"


class JobFile(NamedTuple):
    """A job, and whether the file held it or the one task of it."""

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
    """Return the definition of a scheduled job, which has a `schedule`."""
    return _scheduled_job(_read(body, media_type, limit_bytes), image_required=image_required)


def parse_file(
    body: bytes, media_type: str, *, image_required: bool = True, limit_bytes: int = BODY_LIMIT_BYTES
) -> JobFile:
    """Return the job in a file with the key `tasks`, or a job of the one task in any other file."""
    source = _read(body, media_type, limit_bytes)
    if "tasks" in source.value:
        return JobFile(_job(source, image_required=image_required), "job")
    return JobFile(job_of(_task(source, image_required=image_required)), "task")


def parse_any(
    body: bytes, media_type: str, *, image_required: bool = True, limit_bytes: int = BODY_LIMIT_BYTES
) -> Literal["job", "task", "scheduled job"]:
    """Check any job file, and return its kind: a scheduled job has the key `schedule`, a job `tasks`."""
    source = _read(body, media_type, limit_bytes)
    if "schedule" in source.value:
        _scheduled_job(source, image_required=image_required)
        return "scheduled job"
    if "tasks" in source.value:
        _job(source, image_required=image_required)
        return "job"
    _task(source, image_required=image_required)
    return "task"


def parse_mapping(
    schema: type[MappingSchema], body: bytes, media_type: str, *, expected: str, limit_bytes: int
) -> object:
    """Return the definition that `schema` loads from a body. `expected` describes the mapping in faults."""
    return _load(schema, _read(body, media_type, limit_bytes, expected=expected), image_required=False)


def job_of(task: TaskDefinition) -> JobDefinition:
    """Return a job of one task, named after it."""
    return JobDefinition(name=cast(str, task.name), tasks=(task,))


def _job(source: Source, *, image_required: bool) -> JobDefinition:
    definition = cast(JobDefinition, _load(JobSchema, source, image_required=image_required))
    _check_values(definition, (), source)
    return definition


def _scheduled_job(source: Source, *, image_required: bool) -> JobDefinition:
    definition = cast(JobDefinition, _load(ScheduledJobSchema, source, image_required=image_required))
    _check_values(definition, (), source)
    return definition


def _task(source: Source, *, image_required: bool) -> TaskDefinition:
    definition = cast(TaskDefinition, _load(TaskSchema, source, image_required=image_required))
    if definition.needs:
        raise InvalidInput(source.fault(("needs", 0), "a task that is submitted alone has no task above it"))
    _check_values(job_of(definition), ("tasks", 0), source)
    return definition


def _check_values(definition: JobDefinition, root: Path, source: Source) -> None:
    """Raise InvalidInput unless the values to mask are within their limits, and tasks that are retried with
    more memory have a limit.

    `root` is the part of their paths that the document does not have.
    """
    if fault := excess(located_values(definition)):
        path, message = fault
        raise InvalidInput(source.fault(path[len(root) :], message))
    unlimited = islice(memory_retries.without_limit(definition), MOST_FAULTS)
    if faults := [source.fault(path[len(root) :], memory_retries.MESSAGE) for path in unlimited]:
        raise InvalidInput(*faults)


def _read(body: bytes, media_type: str, limit_bytes: int, *, expected: str = _KEYS_EXPECTED) -> Source:
    source = read(body, media_type, limit_bytes=limit_bytes)
    if not isinstance(source.value, dict):
        raise InvalidInput(source.fault((), f"expected {expected}, got {describe(source.value)}"))
    return source


def _load(schema: type[MappingSchema], source: Source, *, image_required: bool) -> object:
    try:
        return _instance(schema, image_required=image_required).load(source.value)
    except ValidationError as error:
        faults = flatten(error.messages, source)
    raise InvalidInput(*faults)


@functools.cache
def _instance(schema: type[MappingSchema], *, image_required: bool) -> MappingSchema:
    return schema(image_required=image_required)
