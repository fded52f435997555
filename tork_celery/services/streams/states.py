"""Events with the state of jobs and tasks."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
from sqlalchemy import Connection

from tork_celery.domain import serializers
from tork_celery.domain.codec import Document
from tork_celery.domain.model import Job, Task
from tork_celery.domain.user import User
from tork_celery.store import Database, changes, event_rows, jobs

MOST_JOBS = 200
MOST_TASKS = 1_000


@dataclass(frozen=True, slots=True)
class Event:
    """An event: its name, and its data as JSON."""

    name: str
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Events with the state of a topic, by the id of the job or task. `end` means that no more will come.

    `kept` is False if the changes that were asked for are not known: this is the whole state instead.
    """

    events: Mapping[str, Event] = field(default_factory=dict)
    end: bool = False
    kept: bool = True


def event(name: str, document: Document) -> Event:
    return Event(name, msgspec.json.encode(document))


def job_events(found: Iterable[Job]) -> dict[str, Event]:
    return {job.id: event("job", serializers.job_summary(job)) for job in found}


def task_events(tx: Connection, found: Sequence[Task]) -> dict[str, Event]:
    """Return the events of tasks of any jobs."""
    values = {job_id: jobs.secrets(tx, job_id) for job_id in {task.job_id for task in found}}
    return {task.id: event("task", serializers.task_event(task, values[task.job_id])) for task in found}


class StateReader:
    """Reads the state of topics, or what has changed since a position. Thread-safe."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def jobs(self, viewer: User | None, since: int | None) -> State:
        """Return the active jobs or, with a position, the jobs that have changed since then.

        Raises DatastoreUnavailable.
        """
        with self._database.reading() as tx:
            if since is not None and changes.is_kept(tx, since):
                changed = {each.job_id for each in changes.since(tx, since) if each.kind == changes.JOB}
                if len(changed) <= MOST_TASKS:
                    visible = event_rows.visible_ids(tx, changed, viewer)
                    return State(events=job_events(event_rows.jobs_by_id(tx, visible)))
            found = event_rows.active_jobs(tx, viewer, limit=MOST_JOBS)
        return State(events=job_events(found), kept=since is None)

    def job(self, job_id: str, since: int | None) -> State:
        """Return a job with its active and failed tasks or, with a position, with those that have changed.

        Raises DatastoreUnavailable.
        """
        with self._database.reading() as tx:
            found = event_rows.jobs_by_id(tx, [job_id])
            if not found:
                return State(end=True)
            end = bool(event_rows.ended_ids(tx, [job_id]))
            if since is not None and changes.is_kept(tx, since):
                all_changed = changes.since(tx, since, job_id=job_id)
                changed = {each.task_id for each in all_changed if each.kind == changes.TASK}
                if len(changed) <= MOST_TASKS:
                    return State(events=self._events(tx, found, changed), end=end)
            tasks = event_rows.active_and_failed_tasks(tx, job_id, limit=MOST_TASKS)
            return State(events=job_events(found) | task_events(tx, tasks), end=end, kept=since is None)

    @staticmethod
    def _events(tx: Connection, found: Iterable[Job], task_ids: Collection[str | None]) -> dict[str, Event]:
        tasks = event_rows.tasks_by_id(tx, [each for each in task_ids if each])
        return job_events(found) | task_events(tx, tasks)
