"""Job files made of stored jobs."""

from collections.abc import Mapping
from typing import Any

_NOT_OF_THE_FILE = {
    *("id", "state", "execution", "context", "position", "progress", "taskCount", "result", "error"),
    *("createdAt", "startedAt", "completedAt", "failedAt", "deleteAt", "createdBy", "parentId"),
    *("rerunOf", "finishing"),
}


def file_of(job: Mapping[str, Any]) -> dict[str, Any]:
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
