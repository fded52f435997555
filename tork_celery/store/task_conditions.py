"""Conditions on tasks that several queries share."""

from sqlalchemy import and_, or_
from sqlalchemy.sql.elements import ColumnElement

from tork_celery.domain.states import TaskState
from tork_celery.store.database import datastore_now
from tork_celery.store.tables import RUNNING_TASKS, tasks


def claimed() -> tuple[ColumnElement[bool], ...]:
    """Return the conditions of a task that a node has claimed and whose steps have not ended.

    A RUNNING composite is never claimed.
    """
    return RUNNING_TASKS, tasks.c.outcome.is_(None), tasks.c.node.is_not(None)


def between_steps() -> tuple[ColumnElement[bool], ...]:
    """Return the conditions of a task that waits for its next step, on the node that claimed it."""
    return *claimed(), tasks.c.step_running.is_(False)


def due() -> ColumnElement[bool]:
    """Return the condition of a task that may be claimed for its first step: scheduled, or a due retry."""
    return or_(tasks.c.state == TaskState.SCHEDULED, due_retry())


def due_retry() -> ColumnElement[bool]:
    return and_(tasks.c.state == TaskState.PENDING, tasks.c.due_at <= datastore_now())
