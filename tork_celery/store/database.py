"""Connections to the datastore and their transactions."""

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, select
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.pool import QueuePool
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.sql.selectable import ScalarSelect
from sqlalchemy.types import Double

from tork_celery.domain.errors import ConfigurationError, DatastoreUnavailable
from tork_celery.outages import OutageLog
from tork_celery.store.disk_reserve import DiskReserve
from tork_celery.store.encryption import Cipher, use_cipher
from tork_celery.store.error_mapping import map_errors
from tork_celery.store.fair_lock import FairLock
from tork_celery.store.group_commit import GroupCommit
from tork_celery.store.hang_detector import HangDetector

_BUSY_TIMEOUT_S = 5.0
_CONNECT_TIMEOUT_S = 3
_PROBE_TIMEOUT_S = 2
_URL_HINT = "write it like sqlite:////srv/tork.db or postgresql://USER:PASSWORD@HOST/NAME"
_KEEPALIVES = {  # with libpq's defaults, a dead host is detected after two hours
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,  # ms
}


class datastore_now(FunctionElement[float]):  # noqa: N801  named like a SQL function
    """The datastore's clock, in seconds since the epoch. Leases are compared with this clock only."""

    type = Double()
    inherit_cache = True


@compiles(datastore_now, "sqlite")
def _sqlite_now(_element: Any, _compiler: Any, **_: Any) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"


@compiles(datastore_now, "postgresql")
def _postgresql_now(_element: Any, _compiler: Any, **_: Any) -> str:
    return "extract(epoch from clock_timestamp())::double precision"


def datastore_now_once() -> ScalarSelect[float]:
    """Return `datastore_now` as a scalar subquery, which is evaluated once per query.

    `clock_timestamp()` is volatile, so PostgreSQL cannot compare an index with it directly.
    """
    return select(datastore_now()).scalar_subquery()


_SNAPSHOT: dict[str, dict[str, Any]] = {
    "sqlite": {"tork_readonly": True},
    # the default of PostgreSQL is a snapshot for each statement
    "postgresql": {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True},
}
"""Options of connections that only read."""
_NOW = select(datastore_now())
_EPOCH_MS = 210_866_760_000_000  # of SQLite's days, which began in 4713 BC
_DAY_MS = 86_400_000.0


def _sqlite_clock() -> float:
    """Return the value that `datastore_now` has on SQLite, whose clock is that of the process."""
    julian_day = (time.time_ns() // 1_000_000 + _EPOCH_MS) / _DAY_MS
    return (julian_day - 2440587.5) * 86400.0


class Database:
    """Datastore at one URL (SQLite or PostgreSQL). Thread-safe."""

    def __init__(
        self,
        engine: Engine,
        *,
        hang_detector: HangDetector | None = None,
        disk_reserve: DiskReserve | None = None,
        log_outages: bool = False,
    ) -> None:
        self.engine = engine
        self.outages = OutageLog("datastore", DatastoreUnavailable)
        self._log_outages = log_outages
        self._hang_detector = hang_detector
        self._disk_reserve = disk_reserve
        self._readers = engine.execution_options(**_SNAPSHOT[engine.dialect.name])
        self._writers = FairLock(timeout_s=_BUSY_TIMEOUT_S) if engine.dialect.name == "sqlite" else None
        self.group_commit = GroupCommit(self.transaction)

    @classmethod
    def connect(
        cls,
        url: str,
        *,
        pool_size: int = 8,
        full_sync: bool = False,
        detect_hangs: bool = False,
        cipher: Cipher | None = None,
        reserve_disk: bool = False,
        log_outages: bool = False,
    ) -> "Database":
        """Create the connection pool; connections are opened on first use.

        With `full_sync`, SQLite survives a power failure and not only a killed process; commits are slower.
        With `detect_hangs`, calls to a PostgreSQL server that is frozen fail within 5 s. With a `cipher`,
        secrets are stored encrypted. With `reserve_disk`, SQLite has disk space in reserve (`DiskReserve`).
        With `log_outages`, each outage is logged once, for a process with many threads.
        Raises ConfigurationError for a URL that is neither SQLite nor PostgreSQL.
        """
        parsed = _parse_url(url)
        if parsed.drivername == "sqlite":
            _create_private_file(parsed.database)
            has_reserve = reserve_disk and parsed.database not in (None, "", ":memory:")
            reserve = DiskReserve(database=Path(str(parsed.database))) if has_reserve else None
            sqlite = _sqlite_engine(url, pool_size=pool_size, full_sync=full_sync, reserve=reserve)
            return cls(_encrypting(sqlite, cipher), disk_reserve=reserve, log_outages=log_outages)
        engine = create_engine(
            parsed.set(drivername="postgresql+psycopg"),
            pool_size=pool_size,
            max_overflow=pool_size,
            pool_timeout=_CONNECT_TIMEOUT_S,
            pool_pre_ping=True,
            hide_parameters=True,
            connect_args={"connect_timeout": _CONNECT_TIMEOUT_S, **_KEEPALIVES},
        )
        detector = HangDetector(engine, partial(_probe_postgresql, parsed)) if detect_hangs else None
        return cls(_encrypting(engine, cipher), hang_detector=detector, log_outages=log_outages)

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Open a transaction: commit at the end, roll back on an exception. Raises DatastoreUnavailable.

        On SQLite, which has one writer at a time, the threads of a process take turns.
        """
        with self._calls(), self._turn(), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Open a read-only snapshot, which takes no write lock. Raises DatastoreUnavailable."""
        with self._calls(), self._readers.begin() as connection:
            yield connection

    def require_room(self) -> None:
        """Raise DatastoreFull while the disk of a datastore with a reserve is full.

        Call this before a transaction that makes the datastore grow: with new jobs, or output of steps.
        """
        if self._disk_reserve is not None:
            with self._logged():
                self._disk_reserve.require_room()

    @contextmanager
    def savepoint(self, tx: Connection) -> Iterator[None]:
        """Roll back to here on an exception; the transaction can go on. Raises DatastoreUnavailable."""
        with map_errors(self._disk_reserve), tx.begin_nested():
            yield

    def now(self, tx: Connection) -> float:
        """Return the datastore's time, in seconds since the epoch."""
        return _sqlite_clock() if self._writers else float(tx.scalar(_NOW) or 0.0)

    def current_time(self) -> float:
        """Return the datastore's time as `now` does, without a transaction. Raises DatastoreUnavailable."""
        if self._writers:
            return _sqlite_clock()
        with self._calls(), self.engine.connect() as connection:
            return self.now(connection.execution_options(isolation_level="AUTOCOMMIT"))

    def close(self) -> None:
        self.engine.dispose()

    @contextmanager
    def _calls(self) -> Iterator[None]:
        with self._logged(), self._watched(), map_errors(self._disk_reserve):
            yield

    def _turn(self) -> AbstractContextManager[None]:
        return nullcontext() if self._writers is None else self._writers.hold()

    def _logged(self) -> AbstractContextManager[None]:
        return self.outages.watch() if self._log_outages else nullcontext()

    def _watched(self) -> AbstractContextManager[None]:
        return nullcontext() if self._hang_detector is None else self._hang_detector.call()


def _encrypting(engine: Engine, cipher: Cipher | None) -> Engine:
    if cipher is not None:
        use_cipher(engine, cipher)
    return engine


def _probe_postgresql(url: URL) -> None:
    import psycopg  # noqa: PLC0415  not needed on SQLite

    address = url.set(drivername="postgresql").render_as_string(hide_password=False)
    psycopg.connect(address, connect_timeout=_PROBE_TIMEOUT_S).close()


def _parse_url(url: str) -> URL:
    """Parse the URL. Errors do not quote it, because it may contain a password."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:
        raise ConfigurationError("TORK_DATASTORE_URL is not a URL; " + _URL_HINT) from error
    if parsed.drivername not in ("sqlite", "postgresql", "postgresql+psycopg"):
        raise ConfigurationError(
            f"TORK_DATASTORE_URL: {parsed.drivername!r} is neither SQLite nor PostgreSQL; {_URL_HINT}"
        )
    return parsed


def _create_private_file(path: str | None) -> None:
    """Create a missing file of SQLite for this user only. SQLite gives its further files the same mode.

    An existing file is not opened: closing it would release the locks of connections of this process.
    """
    if path and path != ":memory:":
        with suppress(OSError):  # SQLite reports what is wrong with the path
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))


def _contains_folded(contents: str, folded: str) -> bool:
    return folded in contents.casefold()


def _sqlite_engine(url: str, *, pool_size: int, full_sync: bool, reserve: DiskReserve | None) -> Engine:
    engine = create_engine(
        url,
        poolclass=QueuePool,
        pool_size=pool_size,
        max_overflow=pool_size,
        connect_args={"isolation_level": None, "check_same_thread": False},
        hide_parameters=True,  # parameters may be secrets; errors must not quote them
    )

    @event.listens_for(engine, "connect")
    def configure(connection: sqlite3.Connection, _record: Any) -> None:
        if reserve is not None:
            reserve.update()
        connection.create_function("contains_folded", 2, _contains_folded, deterministic=True)
        connection.execute(f"PRAGMA busy_timeout = {1000 * _BUSY_TIMEOUT_S:.0f}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {'FULL' if full_sync else 'NORMAL'}")
        connection.execute("PRAGMA foreign_keys = ON")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # A deferred transaction that starts to write fails with "database is locked" without waiting for
        # busy_timeout. BEGIN IMMEDIATE takes the write lock first, and waits for it.
        readonly = connection.get_execution_options().get("tork_readonly")
        if reserve is not None and not readonly:
            reserve.update()
        # SQLAlchemy's way to execute a statement takes four times as long.
        connection.connection.cursor().execute("BEGIN" if readonly else "BEGIN IMMEDIATE")

    return engine
