"""Submission of job files, with the inputs and secrets of the command line."""

from collections.abc import Mapping
from dataclasses import dataclass

from tork_celery import jobfile
from tork_celery.cli.client import Client, Document
from tork_celery.cli.job_files import JobSource
from tork_celery.domain.errors import InvalidInput


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted:
    """A stored job. `task_id` is that of its one task, if the file was a task."""

    job_id: str
    name: str
    task_id: str | None = None


def submit(
    client: Client,
    source: JobSource,
    *,
    inputs: Mapping[str, str] | None = None,
    secrets: Mapping[str, str] | None = None,
) -> Submitted:
    """Check a job file, here and then by the API, and submit it. Raises InvalidInput with all faults."""
    try:
        kind = jobfile.parse_file(source.body, source.media_type, image_required=False).kind
    except InvalidInput as error:
        raise InvalidInput(f"{source.name} is not a valid job file:\n{error}") from error
    body, media_type = source.body, source.media_type
    if inputs or secrets:
        if kind == "task":
            raise InvalidInput(
                f"{source.name}: a file of one task has no inputs and secrets; write it as a job with `tasks`"
            )
        body, media_type = jobfile.with_values(body, media_type, inputs=inputs or {}, secrets=secrets or {})
    stored = client.send("POST", "jobs" if kind == "job" else "task", body=body, media_type=media_type)
    return _submitted(stored, kind)


def _submitted(stored: Document, kind: str) -> Submitted:
    if kind == "job":
        return Submitted(job_id=stored["id"], name=stored.get("name", ""))
    return Submitted(job_id=stored["jobId"], task_id=stored["id"], name=stored.get("name", ""))
