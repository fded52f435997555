"""Connections to the datastore and their transactions."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, make_url, select
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.sql.selectable import ScalarSelect
from sqlalchemy.types import Double

from tork_celery.domain.errors import ConfigurationError, DatastoreUnavailable
from tork_celery.outages import OutageLog
from tork_celery.store import postgresql_engine, sqlite_engine
from tork_celery.store.disk_reserve import DiskReserve
from tork_celery.store.encryption import Cipher, use_cipher
from tork_celery.store.error_mapping import map_errors
from tork_celery.store.fair_lock import FairLock
from tork_celery.store.group_commit import GroupCommit
from tork_celery.store.hang_detector import HangDetector
from tork_celery.store.server_clock import ServerClock

_URL_HINT = "write it like sqlite:////srv/tork.db or postgresql://USER:PASSWORD@HOST/NAME"


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
    "sqlite": {sqlite_engine.READONLY: True},
    # the default of PostgreSQL is a snapshot for each statement
    "postgresql": {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True},
}
"""Options of connections that only read."""
_NOW = select(datastore_now())


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
        self._writers = (
            FairLock(timeout_s=sqlite_engine.BUSY_TIMEOUT_S) if engine.dialect.name == "sqlite" else None
        )
        self._server_clock = ServerClock(self._read_clock)
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
            has_reserve = reserve_disk and sqlite_engine.is_file(parsed.database)
            reserve = DiskReserve(database=Path(str(parsed.database))) if has_reserve else None
            sqlite = sqlite_engine.create(parsed, pool_size=pool_size, full_sync=full_sync, reserve=reserve)
            return cls(_encrypting(sqlite, cipher), disk_reserve=reserve, log_outages=log_outages)
        engine = postgresql_engine.create(parsed, pool_size=pool_size)
        detector = HangDetector(engine, partial(postgresql_engine.probe, parsed)) if detect_hangs else None
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
        return sqlite_engine.clock() if self._writers else float(tx.scalar(_NOW) or 0.0)

    def current_time(self) -> float:
        """Return the datastore's time without a transaction and mostly without a round trip. Raises
        DatastoreUnavailable.

        PostgreSQL's clock is extrapolated for up to a second; what is compared with leases needs `now`.
        """
        return sqlite_engine.clock() if self._writers else self._server_clock.now()

    def _read_clock(self) -> float:
        with self.reading() as tx:
            return self.now(tx)

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
