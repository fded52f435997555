"""Job files: read from a path or from stdin, or made of a stored job."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tork_celery import jobfile
from tork_celery.domain.errors import InvalidInput

STDIN = Path("-")
_NOT_OF_THE_FILE = {
    *("id", "state", "execution", "context", "position", "progress", "taskCount", "result", "error"),
    *("createdAt", "startedAt", "completedAt", "failedAt", "deleteAt", "createdBy", "parentId"),
    *("rerunOf", "finishing"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSource:
    """The bytes of a job file. `name` is how messages call it."""

    name: str
    body: bytes
    media_type: str


def read_source(file: Path) -> JobSource:
    """Read a job file; `-` is stdin. Raises InvalidInput for a file that cannot be read."""
    if file == STDIN:
        return JobSource(name="stdin", body=sys.stdin.buffer.read(), media_type="text/yaml")
    try:
        body = file.read_bytes()
    except OSError as error:
        raise InvalidInput(f"cannot read {file}: {error.strerror}") from error
    return JobSource(name=str(file), body=body, media_type=jobfile.media_type_of(file.name))


def job_file_of(job: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keys of the job file of a job, as the API shows them. Secrets are masked."""
    file = {key: value for key, value in job.items() if key not in _NOT_OF_THE_FILE}
    if secrets := job.get("context", {}).get("secrets"):
        file["secrets"] = secrets
    if "permissions" in file:
        file["permissions"] = [_permission(each) for each in file["permissions"]]
    return file


def _permission(shown: Mapping[str, Any]) -> dict[str, Any]:
    """Return a permission as a job file has it."""
    return {"user": shown["user"]["username"]} if "user" in shown else {"role": shown["role"]["slug"]}
