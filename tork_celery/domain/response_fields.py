"""The fields of responses and webhook bodies that are no keys of a definition, as msgspec structs.

A struct declares at once how the fields are encoded and how the description of the API describes them.
"""

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tork_celery.domain.scheduled_job import ScheduleState
from tork_celery.domain.states import JobState, TaskState

Time = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]
Count = Annotated[int, Meta(ge=0)]


class Fields(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """The base of structs that are encoded. UNSET fields are left out."""


class Creator(Fields, frozen=True, kw_only=True):
    """The user who submitted a job."""

    username: str


class ScheduleOfJobs(Fields, frozen=True, kw_only=True):
    """The schedule of a scheduled job."""

    id: str
    cron: str
    timezone: str | UnsetType = UNSET
    catch_up: str | UnsetType = UNSET
    within: str | UnsetType = UNSET
    overlap: str | UnsetType = UNSET


class JobSummary(Fields, frozen=True, kw_only=True):
    """A job without its tasks."""

    id: str
    state: JobState
    created_at: Time
    position: Count
    created_by: Creator | UnsetType = UNSET
    parent_id: str | UnsetType = UNSET
    rerun_of: str | UnsetType = UNSET
    started_at: Time | UnsetType = UNSET
    completed_at: Time | UnsetType = UNSET
    failed_at: Time | UnsetType = UNSET
    task_count: Count | UnsetType = UNSET
    result: str | UnsetType = UNSET
    error: str | UnsetType = UNSET
    progress: float | UnsetType = UNSET


class JobDetails(Fields, frozen=True, kw_only=True):
    """The fields of a whole job beside its summary, definition and execution."""

    context: dict[str, Any]
    delete_at: Time | UnsetType = UNSET


class TaskRun(Fields, frozen=True, kw_only=True):
    """One attempt at a task, without its definition."""

    id: str
    job_id: str
    position: Count
    state: TaskState
    created_at: Time
    parent_id: str | UnsetType = UNSET
    scheduled_at: Time | UnsetType = UNSET
    started_at: Time | UnsetType = UNSET
    completed_at: Time | UnsetType = UNSET
    failed_at: Time | UnsetType = UNSET
    queue: str | UnsetType = UNSET
    node_id: str | UnsetType = UNSET
    redelivered: Count | UnsetType = UNSET
    result: str | UnsetType = UNSET
    error: str | UnsetType = UNSET
    progress: float | UnsetType = UNSET


class ScheduledJobSummary(Fields, frozen=True, kw_only=True):
    """A scheduled job without the definition of its jobs."""

    id: str
    state: ScheduleState
    cron: str
    schedule: ScheduleOfJobs
    created_at: Time
    created_by: Creator | UnsetType = UNSET
    next_run_at: Time | UnsetType = UNSET
