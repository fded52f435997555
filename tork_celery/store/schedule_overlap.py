"""The jobs of a schedule that have not ended, and which of them may start."""

from sqlalchemy import Connection, exists, literal_column, select

from tork_celery.domain.states import JobState
from tork_celery.store.tables import ACTIVE_JOB_STATES, ACTIVE_SCHEDULED_JOBS, jobs


def active_jobs(tx: Connection, schedule_id: str) -> dict[str, JobState]:
    """Return the states of the jobs of a schedule that have not ended, by id, oldest first."""
    query = select(jobs.c.id, jobs.c.state).where(ACTIVE_SCHEDULED_JOBS, jobs.c.schedule_id == schedule_id)
    return {row.id: JobState(row.state) for row in tx.execute(query.order_by(jobs.c.seq))}


def ready_jobs(tx: Connection, *, limit: int) -> list[str]:
    """Return the ids of waiting jobs of schedules whose earlier jobs have all ended, oldest first."""
    earlier = jobs.alias()
    waits_for = exists().where(
        earlier.c.schedule_id == jobs.c.schedule_id,
        earlier.c.seq < jobs.c.seq,
        earlier.c.state.in_(ACTIVE_JOB_STATES),
    )
    pending = jobs.c.state == literal_column("'PENDING'")
    query = select(jobs.c.id).where(ACTIVE_SCHEDULED_JOBS, pending, ~waits_for)
    return list(tx.scalars(query.order_by(jobs.c.seq).limit(limit)))
