"""The record of changes of jobs, tasks and logs. Triggers write it (migration 0013)."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, or_, select

from tork_celery.store.database import datastore_now_once
from tork_celery.store.tables import changes

JOB, TASK, LOG = "job", "task", "log"
"""Kinds of changes. Those of tasks and logs have the id of the task."""
COMMIT_TIME_S = 10.0
"""Time within which a transaction commits after it has changed something."""
KEEP_S = 600.0
"""Time for which changes are recorded at least."""
READ_AT_A_TIME = 5_000
"""Changes that are read at a time. If there are as many, there may be more."""
_MOST_RESUMED = 20_000
_SAFE_PAUSE_S = 60.0

_COLUMNS = (changes.c.seq, changes.c.kind, changes.c.job_id, changes.c.task_id)


@dataclass(frozen=True, slots=True)
class Change:
    """A change. `seq` grows with each change, but transactions commit in any order."""

    seq: int
    kind: str
    job_id: str
    task_id: str | None


def position(tx: Connection) -> int:
    """Return a number after which all changes are visible that are not visible yet."""
    old = changes.c.changed_at < datastore_now_once() - COMMIT_TIME_S
    newest_old = select(changes.c.seq).where(old).order_by(changes.c.seq.desc()).limit(1)
    found = tx.scalar(newest_old)
    return found if found is not None else (tx.scalar(select(func.min(changes.c.seq))) or 1) - 1


def is_kept(tx: Connection, seq: int) -> bool:
    """Return whether all changes after `seq` are still recorded, and few enough to read at once."""
    oldest, newest = tx.execute(select(func.min(changes.c.seq), func.max(changes.c.seq))).one()
    return (oldest or 1) - 1 <= seq <= (newest or 0) and (newest or 0) - seq <= _MOST_RESUMED


def since(tx: Connection, seq: int, *, job_id: str | None = None) -> list[Change]:
    """Return the changes after `seq` in order, of one job or of all."""
    query = select(*_COLUMNS).where(changes.c.seq > seq)
    if job_id is not None:
        query = query.where(changes.c.job_id == job_id)
    return [Change(*row) for row in tx.execute(query.order_by(changes.c.seq))]


def remove_old(tx: Connection, *, keep_s: float = KEEP_S, limit: int = 5_000) -> bool:
    """Delete up to `limit` changes that are older than `keep_s`. Return whether more may be left.

    The newest change stays: its number shows which changes are no longer recorded.
    """
    oldest = select(changes.c.seq, changes.c.changed_at).order_by(changes.c.seq).limit(limit).subquery()
    old = select(func.max(oldest.c.seq)).where(oldest.c.changed_at < datastore_now_once() - keep_s)
    newest = select(func.max(changes.c.seq)).scalar_subquery()
    query = delete(changes).where(changes.c.seq <= old.scalar_subquery(), changes.c.seq < newest)
    return tx.execute(query).rowcount == limit


def oldest_is_older(tx: Connection, than_s: float) -> bool:
    """Return whether the oldest change that is recorded is older than this."""
    oldest = select(changes.c.changed_at).order_by(changes.c.seq).limit(1).scalar_subquery()
    return bool(tx.scalar(select(oldest < datastore_now_once() - than_s)))


class ChangeReader:
    """Reads each change once, although transactions become visible out of order. Used by one thread.

    A number that is missing belongs to a transaction that has not committed yet, or never will. The reader
    looks for it for COMMIT_TIME_S.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last: int | None = None
        self._missing: dict[int, float] = {}
        self._read_at = 0.0

    @property
    def position(self) -> int:
        """Number up to which all changes have been read. Call `read` first."""
        return min(self._missing, default=(self._last or 0) + 1) - 1

    def read(self, tx: Connection) -> Sequence[Change] | None:
        """Return the next changes that are visible; None if some were lost. Call `advance` with them next.

        The first call begins with the changes of the last COMMIT_TIME_S. Changes are lost if there was no
        call for as long as they are recorded.
        """
        now = self._clock()
        lost = self._last is not None and self._was_idle(now) and not is_kept(tx, self.position)
        if self._last is None or lost:
            self._last, self._missing = position(tx), {}
        found = None if lost else self._visible(tx, self._last)
        self._read_at = now
        return found

    def advance(self, found: Sequence[Change]) -> None:
        """Do not return these changes again."""
        now = self._clock()
        self._missing = {seq: at for seq, at in self._missing.items() if at > now - COMMIT_TIME_S}
        for change in found:
            self._missing.pop(change.seq, None)
            last = self._last or 0
            if change.seq > last:
                self._missing.update(dict.fromkeys(range(last + 1, change.seq), now))
                self._last = change.seq

    def _was_idle(self, now: float) -> bool:
        return now - self._read_at > _SAFE_PAUSE_S

    def _visible(self, tx: Connection, last: int) -> list[Change]:
        is_new = changes.c.seq > last
        if self._missing:
            is_new = or_(is_new, changes.c.seq.in_(self._missing))
        query = select(*_COLUMNS).where(is_new).order_by(changes.c.seq).limit(READ_AT_A_TIME)
        return [Change(*row) for row in tx.execute(query)]
