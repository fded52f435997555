"""Jobs, tasks and scheduled jobs as JSON documents, which the API returns and webhooks send.

Keys are camelCase, empty fields are left out, and secrets are masked. A document consists of keys of the
definition and of the fields that `response_fields` declares.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import cast

import msgspec
from msgspec import UNSET, UnsetType

from tork_celery.domain import masking
from tork_celery.domain.codec import Document, encode
from tork_celery.domain.definition import JobDefinition
from tork_celery.domain.masking import MaskedValues, mask_document
from tork_celery.domain.model import Job, Task
from tork_celery.domain.response_fields import (
    Creator,
    Fields,
    JobDetails,
    JobSummary,
    ScheduledJobSummary,
    ScheduleOfJobs,
    TaskRun,
)
from tork_celery.domain.scheduled_job import ScheduledJob
from tork_celery.domain.states import JobState, TaskState

JOB_SUMMARY_KEYS = frozenset({"name", "description", "tags", "inputs", "schedule"})
"""Keys of a job's definition in its summary."""
JOB_HIDDEN_KEYS = frozenset({"wait", "hidden"})
"""Keys of a job's definition that are in no document."""
TASK_SUMMARY_KEYS = frozenset({"name", "description", "tags", "var"})
"""Keys of a task's definition in its summary."""


def job_summary(job: Job) -> Document:
    """Return a job without its tasks."""
    definition = encode(job.definition, keys=JOB_SUMMARY_KEYS)
    return mask_document(definition, _job_fields(job), _values_of(job.definition))


def job(job: Job, results: Mapping[str, str], execution: Sequence[Task]) -> Document:
    """Return a whole job. `results` has the results of its tasks by `var`, `execution` its tasks."""
    definition = job.definition
    details = JobDetails(
        context={
            "job": {"id": job.id, "name": definition.name},
            "inputs": definition.inputs,
            "secrets": definition.secrets,
            "tasks": results,
        },
        delete_at=_time_or_unset(job.delete_at),
    )
    values = _values_of(definition)
    document = mask_document(_definition(definition), _job_fields(job) | _encode(details), values)
    return document | {"execution": [_task(run, values, encode(run.definition)) for run in execution]}


def task(task: Task, job_values: Collection[str]) -> Document:
    """Return a whole task. `job_values` has the values of its job to mask."""
    return _task(task, MaskedValues(job_values), encode(task.definition))


def task_event(task: Task, job_values: Collection[str]) -> Document:
    """Return a task as `task` does, without its lists of steps, mounts and tasks."""
    return _task(task, MaskedValues(job_values), _without_lists(encode(task.definition)))


def task_summary(task: Task, job_values: Collection[str]) -> Document:
    """Return a task without what it runs. `job_values` has the values of its job to mask."""
    values = MaskedValues(job_values).with_values(masking.task_values(task.definition))
    return mask_document(encode(task.definition, keys=TASK_SUMMARY_KEYS), _task_fields(task), values)


def scheduled_job_summary(scheduled: ScheduledJob) -> Document:
    """Return a scheduled job without the definition of its jobs."""
    definition = encode(scheduled.definition, keys=JOB_SUMMARY_KEYS)
    return mask_document(definition, _scheduled_job_fields(scheduled), _values_of(scheduled.definition))


def scheduled_job(scheduled: ScheduledJob) -> Document:
    """Return a whole scheduled job."""
    definition = _definition(scheduled.definition)
    return mask_document(definition, _scheduled_job_fields(scheduled), _values_of(scheduled.definition))


def time(seconds: float) -> str:
    """Return a time in seconds since the epoch as RFC 3339, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _encode(fields: Fields) -> Document:
    return cast(Document, msgspec.to_builtins(fields))


def _values_of(definition: JobDefinition) -> MaskedValues:
    return MaskedValues(masking.job_values(definition))


def _task(task: Task, job_values: MaskedValues, definition: Document) -> Document:
    if "retry" in definition:
        definition["retry"] |= {"attempts": task.attempts}
    values = job_values.with_values(masking.task_values(task.definition))
    return mask_document(definition | _composite(task, definition), _task_fields(task), values)


def _without_lists(document: Document) -> Document:
    """Return a definition without its lists of objects, at any depth."""
    return {
        key: _without_lists(value) if isinstance(value, dict) else value
        for key, value in document.items()
        if not (isinstance(value, list | tuple) and value and isinstance(value[0], dict))
    }


def _definition(definition: JobDefinition) -> Document:
    """Return the keys of a whole job. Users and roles in permissions are objects, as in Tork."""
    document = {key: value for key, value in encode(definition).items() if key not in JOB_HIDDEN_KEYS}
    if "permissions" in document:
        document["permissions"] = [
            {"user": {"username": permission["user"]}}
            if "user" in permission
            else {"role": {"slug": permission["role"]}}
            for permission in document["permissions"]
        ]
    return document


def _composite(task: Task, definition: Document) -> Document:
    """Return the block of a composite with its progress."""
    if "parallel" in definition:
        return {"parallel": definition["parallel"] | {"completions": task.completions}}
    if "each" in definition:
        counters = {"size": task.size, "completions": task.completions, "index": task.started_children}
        return {"each": definition["each"] | counters}
    if "subjob" in definition and task.subjob_id:
        return {"subjob": definition["subjob"] | {"id": task.subjob_id}}
    return {}


def _job_fields(job: Job) -> Document:
    fields = JobSummary(
        id=job.id,
        state=job.state,
        created_at=time(job.created_at),
        position=job.position,
        created_by=_creator(job.created_by),
        parent_id=job.parent_id or UNSET,
        rerun_of=job.rerun_of or UNSET,
        started_at=_time_or_unset(job.started_at),
        completed_at=_ended_at(job, JobState.COMPLETED),
        failed_at=_ended_at(job, JobState.FAILED),
        task_count=job.task_count or UNSET,
        result=job.result or UNSET,
        error=job.error or UNSET,
        progress=job.progress or UNSET,
    )
    return _encode(fields)


def _task_fields(task: Task) -> Document:
    fields = TaskRun(
        id=task.id,
        job_id=task.job_id,
        position=task.position,
        state=task.state,
        created_at=time(task.created_at),
        parent_id=task.parent_id or UNSET,
        scheduled_at=_time_or_unset(task.scheduled_at),
        started_at=_time_or_unset(task.started_at),
        completed_at=_ended_at(task, TaskState.COMPLETED),
        failed_at=_ended_at(task, TaskState.FAILED),
        queue=UNSET if task.definition.is_composite else task.queue,
        node_id=task.node or UNSET,
        redelivered=task.losses or UNSET,
        result=task.result or UNSET,
        error=task.error or UNSET,
        progress=task.progress or UNSET,
    )
    return _encode(fields)


def _scheduled_job_fields(scheduled: ScheduledJob) -> Document:
    fields = ScheduledJobSummary(
        id=scheduled.id,
        state=scheduled.state,
        cron=scheduled.cron,
        schedule=_schedule(scheduled),
        created_at=time(scheduled.created_at),
        created_by=_creator(scheduled.created_by),
        next_run_at=_time_or_unset(scheduled.next_at),
    )
    return _encode(fields)


def _schedule(scheduled: ScheduledJob) -> ScheduleOfJobs:
    schedule = scheduled.schedule
    return ScheduleOfJobs(
        id=scheduled.id,
        cron=schedule.cron,
        timezone=schedule.timezone or UNSET,
        catch_up=schedule.catch_up or UNSET,
        within=schedule.within or UNSET,
        overlap=schedule.overlap or UNSET,
    )


def _creator(username: str | None) -> Creator | UnsetType:
    return Creator(username=username) if username else UNSET


def _ended_at(row: Job | Task, state: JobState | TaskState) -> str | UnsetType:
    return _time_or_unset(row.ended_at) if row.state is state else UNSET


def _time_or_unset(seconds: float | None) -> str | UnsetType:
    return UNSET if seconds is None else time(seconds)
