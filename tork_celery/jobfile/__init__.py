"""Job files, YAML or JSON, read into the domain model; what is wrong with one is said with its place."""

from tork_celery.jobfile.decode import BODY_LIMIT_BYTES, MEDIA_TYPES, media_type_of, read_mapping
from tork_celery.jobfile.parse import (
    JobFile,
    job_of,
    parse_file,
    parse_job,
    parse_scheduled_job,
    parse_task,
    parse_user,
)

__all__ = [
    "BODY_LIMIT_BYTES",
    "MEDIA_TYPES",
    "JobFile",
    "job_of",
    "media_type_of",
    "parse_file",
    "parse_job",
    "parse_scheduled_job",
    "parse_task",
    "parse_user",
    "read_mapping",
]
