"""When coordinators last looked for due schedules, and when none did.

One row for all coordinators, by the datastore's clock.
"""

from sqlalchemy import Connection, insert, select, update

from tork_celery.domain.scheduled_job import MAX_LATENESS_S, Downtime
from tork_celery.store import scheduled_jobs
from tork_celery.store.database import datastore_now
from tork_celery.store.tables import schedule_checks as table

_INTERVAL_S = 2.0  # a check is not recorded more often


def recent(tx: Connection) -> Downtime | None:
    """Return the latest downtime if a check was recorded just now, else None."""
    row = tx.execute(select(table, datastore_now().label("now"))).one_or_none()
    if row is None or not 0 <= row.now - row.checked_at < _INTERVAL_S:
        return None
    return Downtime(start=row.down_from, end=row.down_until)


def record(tx: Connection) -> Downtime:
    """Record that a coordinator looks for due schedules now, and return the latest downtime.

    More than `MAX_LATENESS_S` without a check is a downtime. It continues an earlier one if firings that the
    earlier one misses are still due.
    """
    row = tx.execute(select(table).with_for_update()).one_or_none()
    now = tx.scalar(select(datastore_now())) or 0.0
    if row is None:
        downtime = Downtime(start=0.0, end=now)
    else:
        downtime = Downtime(start=row.down_from, end=row.down_until)
        if now - row.checked_at > MAX_LATENESS_S:
            start = row.down_from if scheduled_jobs.any_missed(tx, downtime) else row.checked_at
            downtime = Downtime(start=start, end=now)
    values = {"checked_at": now, "down_from": downtime.start, "down_until": downtime.end}
    tx.execute(update(table).values(values) if row is not None else insert(table).values(id=1, **values))
    return downtime
