"""The thread that reads what changes, for all streams of a process."""

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import structlog
from sqlalchemy import Connection

from tork_celery.domain.errors import Unavailable
from tork_celery.domain.streams import LogCursor
from tork_celery.periodic_thread import survive_bugs
from tork_celery.services.streams.batches import Batch, Followed, FollowedLog, LogNews
from tork_celery.services.streams.logs import PARTS_AT_A_TIME, LogReader, read_events
from tork_celery.services.streams.states import Event, job_events, task_events
from tork_celery.services.streams.subscriptions import Rights, read_rights
from tork_celery.store import Database, changes, event_rows
from tork_celery.store.change_wakeups import POLL_S, ChangeWakeups
from tork_celery.store.changes import Change, ChangeReader

log = structlog.get_logger(__name__)

RIGHTS_INTERVAL_S = 5.0
_CHUNKS_AT_A_TIME = 8
_NOTHING = Followed()


@dataclass(frozen=True, slots=True, kw_only=True)
class _LogState:
    """How far a followed log was read, and whether it must be read again although nothing changes."""

    cursor: LogCursor
    attempts: frozenset[str] = frozenset()
    again: bool = True
    end: bool = False


class Tail:
    """Reads changes while something is followed, and passes them to `publish` in batches."""

    def __init__(
        self,
        database: Database,
        wakeups: ChangeWakeups,
        *,
        log_reader: LogReader,
    ) -> None:
        self._database = database
        self._wakeups = wakeups
        self._log_reader = log_reader
        self._publish: Callable[[Batch], object] = lambda _batch: None
        self._followed = _NOTHING
        self._follows = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="stream-tail", daemon=True)
        self._forget()

    def start(self, publish: Callable[[Batch], object]) -> None:
        self._publish = publish
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread and wait for its end."""
        self._stopping.set()
        self._follows.set()
        self._thread.join()

    def follow(self, followed: Followed) -> None:
        """Read the changes of `followed` from now on."""
        self._followed = followed
        if followed:
            self._follows.set()
        elif not self._stopping.is_set():
            self._follows.clear()

    def _run(self) -> None:
        while not self._stopping.is_set():
            if not self._follows.is_set():
                self._wakeups.close()
                self._forget()
                self._follows.wait()
            failed = True
            with suppress(Unavailable), survive_bugs("stream.failed"):
                self._step()
                failed = False
            if failed:
                self._stopping.wait(POLL_S)
        self._wakeups.close()

    def _forget(self) -> None:
        self._reader = ChangeReader()
        self._logs: dict[int, _LogState] = {}
        self._begins = True
        self._reads_on = False
        self._rights: Rights | None = None
        self._rights_at = time.monotonic()

    def _step(self) -> None:
        """Wait for changes and publish them."""
        if not self._begins and not self._reads_on and not self._wakeups.wait(self._stopping):
            return
        with self._database.reading() as tx:
            found = self._reader.read(tx)
            read_at = time.monotonic()
            followed = self._followed  # after the snapshot: who follows later begins with a later one
            batch = self._state(tx, followed, found or ())
        logs, news = self._read_logs(followed, found)
        rights = self._due_rights(followed, read_at)
        self._reader.advance(found or ())
        self._logs = logs
        if self._begins or found is None or found or news or rights:
            lost = found is None
            position = self._reader.position
            self._publish(
                replace(batch, position=position, read_at=read_at, lost=lost, logs=news, rights=rights)
            )
        self._begins = False
        self._reads_on = len(found or ()) >= changes.READ_AT_A_TIME or any(
            len(each.parts) >= _CHUNKS_AT_A_TIME * PARTS_AT_A_TIME for each in news.values()
        )

    def _state(self, tx: Connection, followed: Followed, found: Sequence[Change]) -> Batch:
        job_ids = {each.job_id for each in found}
        changed_jobs = {each.job_id for each in found if each.kind == changes.JOB}
        shown = changed_jobs if followed.all_jobs else changed_jobs & followed.job_ids
        task_ids = {
            each.task_id
            for each in found
            if each.kind == changes.TASK and each.task_id and each.job_id in followed.job_ids
        }
        jobs = job_events(event_rows.jobs_by_id(tx, shown)) if shown else {}
        changed = job_ids & followed.job_ids
        deleted = (changed_jobs & followed.job_ids) - jobs.keys()
        return Batch(
            position=0,
            read_at=0.0,
            jobs=jobs,
            visible=self._visible(tx, followed, jobs) if jobs else {},
            tasks=self._tasks(tx, task_ids) if task_ids else {},
            ended_jobs=event_rows.ended_ids(tx, changed) | deleted if changed else deleted,
        )

    def _visible(
        self, tx: Connection, followed: Followed, jobs: Mapping[str, Event]
    ) -> dict[str, frozenset[str]]:
        known = self._rights.users if self._rights else {}
        return {
            name: frozenset(event_rows.visible_ids(tx, jobs, known.get(name, viewer)))
            for name, viewer in followed.viewers.items()
        }

    @staticmethod
    def _tasks(tx: Connection, task_ids: set[str]) -> dict[str, dict[str, Event]]:
        found = event_rows.tasks_by_id(tx, task_ids)
        events = task_events(tx, found)
        by_job: dict[str, dict[str, Event]] = defaultdict(dict)
        for task in found:
            by_job[task.job_id][task.id] = events[task.id]
        return by_job

    def _read_logs(
        self, followed: Followed, found: Sequence[Change] | None
    ) -> tuple[dict[int, _LogState], dict[int, LogNews]]:
        """Return the new states of the followed logs, and what is new in them."""
        changed = {each.job_id if each.kind == changes.JOB else each.task_id for each in found or ()}
        states, news = {}, {}
        for each in followed.logs:
            state = self._logs.get(each.number, _LogState(cursor=each.start))
            affected = found is None or each.job_id in changed or not changed.isdisjoint(state.attempts)
            if not state.end and (state.again or affected):
                state, new = self._read_log(each, state)
                if new.parts or new.end:
                    news[each.number] = new
            states[each.number] = state
        return states, news

    def _read_log(self, followed: FollowedLog, state: _LogState) -> tuple[_LogState, LogNews]:
        parts: list[tuple[LogCursor, Event]] = []
        cursor = state.cursor
        for _ in range(_CHUNKS_AT_A_TIME):
            chunk, read = read_events(self._log_reader, followed.first_id, cursor)
            cursor = chunk.cursor
            parts += read
            if not chunk.parts:
                break
        again = bool(chunk.parts) or chunk.settling
        state = _LogState(cursor=cursor, attempts=chunk.attempts, again=again, end=chunk.end)
        return state, LogNews(parts=parts, end=chunk.end)

    def _due_rights(self, followed: Followed, now: float) -> Rights | None:
        if not followed.jobs_by_user or now < self._rights_at + RIGHTS_INTERVAL_S:
            return None
        self._rights_at = now
        self._rights = read_rights(self._database, followed.jobs_by_user)
        return self._rights
