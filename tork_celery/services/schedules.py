"""Scheduled jobs: create, read, pause, resume and delete them. `schedule_firing` creates their jobs."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection

from tork_celery.domain import scheduled_job
from tork_celery.domain.audit import Action, Actor
from tork_celery.domain.definition import JobDefinition
from tork_celery.domain.errors import KeyInUse, NotFound
from tork_celery.domain.idempotency import AnswerTo
from tork_celery.domain.scheduled_job import ScheduledJob
from tork_celery.domain.user import User
from tork_celery.services import permissions
from tork_celery.services.context import ServiceContext
from tork_celery.services.queries import Page
from tork_celery.store import audit, idempotency_keys, scheduled_jobs


def create(
    context: ServiceContext,
    definition: JobDefinition,
    *,
    created_by: str | None = None,
    actor: Actor | None = None,
    answer_to: AnswerTo[ScheduledJob] | None = None,
) -> ScheduledJob:
    """Create an active scheduled job, and store the answer to the request with it.

    Raises InvalidInput for permissions of unknown users or roles, and KeyInUse if the request has an answer.
    """
    now = context.database.current_time()
    new = scheduled_job.new(definition, now=now, id_=context.random.new_id(), created_by=created_by)
    with context.database.transaction() as tx:
        if answer_to is not None and not idempotency_keys.add(tx, answer_to(new)):
            raise KeyInUse
        permissions.check_grantees(tx, definition.permissions)
        scheduled_jobs.add(tx, new)
        audit.record(tx, actor, Action.CREATE_SCHEDULE, new.id)
    return new


def get(context: ServiceContext, id_: str) -> ScheduledJob:
    """Raises NotFound."""
    with context.database.reading() as tx:
        return require(scheduled_jobs.get(tx, id_), id_)


def page(
    context: ServiceContext, *, number: int, size: int, viewer: User | None = None
) -> Page[ScheduledJob]:
    """Return a page of the scheduled jobs that `viewer` may see, newest first."""
    with context.database.reading() as tx:
        items, total = scheduled_jobs.page(tx, number=number, size=size, viewer=viewer)
    return Page(items=items, number=number, size=size, total_items=total)


def pause(context: ServiceContext, id_: str, *, actor: Actor | None = None) -> None:
    """Stop firing until the scheduled job is resumed. Raises NotFound, WrongState."""
    with _changing(context, id_) as (tx, current):
        scheduled_jobs.save(tx, scheduled_job.pause(current))
        audit.record(tx, actor, Action.PAUSE_SCHEDULE, id_)


def resume(context: ServiceContext, id_: str, *, actor: Actor | None = None) -> None:
    """Fire again, from the next time on. Raises NotFound, WrongState."""
    with _changing(context, id_) as (tx, current):
        scheduled_jobs.save(tx, scheduled_job.resume(current, now=context.database.now(tx)))
        audit.record(tx, actor, Action.RESUME_SCHEDULE, id_)


def delete(context: ServiceContext, id_: str, *, actor: Actor | None = None) -> None:
    """Delete a scheduled job, but not the jobs that it created. Raises NotFound."""
    with context.database.transaction() as tx:
        if not scheduled_jobs.remove(tx, id_):
            raise _not_found(id_)
        audit.record(tx, actor, Action.DELETE_SCHEDULE, id_)


@contextmanager
def _changing(context: ServiceContext, id_: str) -> Iterator[tuple[Connection, ScheduledJob]]:
    """Open a transaction with a scheduled job, which is locked. Raises NotFound."""
    with context.database.transaction() as tx:
        yield tx, require(scheduled_jobs.lock(tx, id_), id_)


def require(scheduled: ScheduledJob | None, id_: str) -> ScheduledJob:
    """Return the scheduled job that was found. Raises NotFound for None."""
    if scheduled is None:
        raise _not_found(id_)
    return scheduled


def _not_found(id_: str) -> NotFound:
    return NotFound(f"no scheduled job with the id {id_!r}")
