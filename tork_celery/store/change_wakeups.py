"""Waiting for changes: by LISTEN and NOTIFY on PostgreSQL, by polling on SQLite."""

import threading
import time
from typing import TYPE_CHECKING, Protocol

from sqlalchemy import URL

from tork_celery.domain.errors import DatastoreUnavailable
from tork_celery.store import postgresql_engine
from tork_celery.store.database import Database

if TYPE_CHECKING:
    import psycopg

POLL_S = 0.2
_UNNOTIFIED_S = 1.0  # a change that was committed before the notifications began is found by polling
_GATHER_S = 0.02  # changes that follow each other at once are read together
_LISTEN_S = 30.0
_RENEW_S = 10.0
_LISTEN = """
    INSERT INTO change_listeners (id, until) VALUES (1, extract(epoch from clock_timestamp()) + %s)
    ON CONFLICT (id) DO UPDATE SET until = excluded.until
"""


class ChangeWakeups(Protocol):
    """Where one thread waits until it should read the changes."""

    def wait(self, stop: threading.Event) -> bool:
        """Wait up to POLL_S, or until `stop` is set. Return whether there may be changes. Raises
        DatastoreUnavailable."""

    def close(self) -> None:
        """Close the connection, if there is one. `wait` opens another."""


def change_wakeups(database: Database) -> ChangeWakeups:
    """Return the wake-ups of a datastore."""
    if database.engine.dialect.name == "sqlite":
        return Polling()
    return Notifications(database.engine.url)


class Polling:
    """Wakes up every POLL_S."""

    def wait(self, stop: threading.Event) -> bool:
        return not stop.wait(POLL_S)

    def close(self) -> None:
        """Nothing is open."""


class Notifications:
    """Wakes up when a transaction commits changes. Has a connection of its own.

    The triggers notify until a time in the datastore, which this class moves on while it waits.
    """

    def __init__(self, url: URL) -> None:
        self._url = url
        self._connection: psycopg.Connection | None = None
        self._renew_at = 0.0
        self._read_at = 0.0

    def wait(self, stop: threading.Event) -> bool:
        import psycopg  # noqa: PLC0415  not needed on SQLite

        try:
            notified = self._notified(stop)
        except psycopg.Error as error:
            self.close()
            raise DatastoreUnavailable(f"the datastore does not notify of changes: {error}") from error
        now = time.monotonic()
        if notified or now > self._read_at + _UNNOTIFIED_S:
            self._read_at = now
            return True
        return False

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _notified(self, stop: threading.Event) -> bool:
        connection = self._listening()
        notified = len([*connection.notifies(timeout=POLL_S, stop_after=1)]) > 0
        if notified:
            stop.wait(_GATHER_S)
            for _ in connection.notifies(timeout=0):
                pass
        return notified

    def _listening(self) -> "psycopg.Connection":
        if self._connection is None:
            self._connection = postgresql_engine.connect(self._url)
            self._connection.execute("LISTEN tork_changes")
            self._renew_at = 0.0
        if time.monotonic() >= self._renew_at:
            self._connection.execute(_LISTEN, [_LISTEN_S])
            self._renew_at = time.monotonic() + _RENEW_S
        return self._connection
