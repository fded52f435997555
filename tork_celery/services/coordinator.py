"""What every service works with, and how a plan is carried out."""

import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import structlog
from sqlalchemy import Connection

from tork_celery.dispatch.dispatcher import Dispatcher
from tork_celery.domain.errors import BrokerUnavailable
from tork_celery.domain.flow import Plan
from tork_celery.domain.model import Task
from tork_celery.store import Database, jobs, tasks

log = structlog.get_logger(__name__)


LONGEST_COUNTDOWN_S = 60.0
"""A worker holds a message with a countdown in its memory, so longer delays are left to the sweep."""


def new_id() -> str:
    """An id for a job or a task: 32 hexadecimal digits."""
    return uuid.uuid4().hex


@dataclass(frozen=True, slots=True, kw_only=True)
class Coordinator:
    database: Database
    dispatcher: Dispatcher
    lease_s: float
    keep_jobs_s: float | None = None
    new_id: Callable[[], str] = new_id


def apply(tx: Connection, plan: Plan) -> None:
    """Store a plan for a job that is stored already and whose row this transaction has locked."""
    jobs.save(tx, plan.job)
    tasks.save(tx, plan.changed)
    tasks.add(tx, plan.added)


def publish(coordinator: Coordinator, following: Iterable[Task], *, now: float) -> None:
    """Send what a committed plan says. A broker that is away is no error: the sweep publishes it later. So is
    a retry that is due much later: it waits in the datastore."""
    for task in following:
        delay_s = max(0.0, (task.due_at or now) - now)
        if delay_s > LONGEST_COUNTDOWN_S:
            continue
        try:
            coordinator.dispatcher.send(task, delay_s=delay_s)
        except BrokerUnavailable as error:
            log.warning("task.not_published", task_id=task.id, reason=str(error))
            return
