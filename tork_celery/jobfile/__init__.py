"""Job files in YAML or JSON: reading, validation with positions, and their JSON Schema."""

from tork_celery.jobfile.additions import with_values
from tork_celery.jobfile.decode import (
    BODY_LIMIT_BYTES,
    MEDIA_TYPES,
    check_media_type,
    media_type_of,
    read_mapping,
)
from tork_celery.jobfile.parse import (
    JobFile,
    job_of,
    parse_any,
    parse_file,
    parse_job,
    parse_mapping,
    parse_scheduled_job,
    parse_task,
)
from tork_celery.jobfile.stored import file_of

__all__ = [
    "BODY_LIMIT_BYTES",
    "MEDIA_TYPES",
    "JobFile",
    "check_media_type",
    "file_of",
    "job_of",
    "media_type_of",
    "parse_any",
    "parse_file",
    "parse_job",
    "parse_mapping",
    "parse_scheduled_job",
    "parse_task",
    "read_mapping",
    "with_values",
]
