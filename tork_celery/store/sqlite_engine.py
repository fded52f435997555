"""Connections to SQLite."""

import os
import sqlite3
import time
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.pool import QueuePool

from tork_celery.store.disk_reserve import DiskReserve
from tork_celery.store.turnstile import Turnstile

BUSY_TIMEOUT_S = 5.0
"""How long a writer waits for the transactions of others."""
READONLY = "tork_readonly"
"""Execution option of a connection that only reads."""
_EPOCH_MS = 210_866_760_000_000  # of SQLite's days, which began in 4713 BC
_DAY_MS = 86_400_000.0


def clock() -> float:
    """Return the value that `datastore_now` has on SQLite, whose clock is that of the process."""
    julian_day = (time.time_ns() // 1_000_000 + _EPOCH_MS) / _DAY_MS
    return (julian_day - 2440587.5) * 86400.0


def create(url: URL, *, pool_size: int, full_sync: bool, reserve: DiskReserve | None) -> Engine:
    """Return an engine whose transactions take the write lock at once, unless they are `READONLY`."""
    _create_private_file(url.database)
    turnstile = Turnstile(Path(f"{url.database}-turn")) if is_file(url.database) else None
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
        connection.execute(f"PRAGMA busy_timeout = {1000 * BUSY_TIMEOUT_S:.0f}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {'FULL' if full_sync else 'NORMAL'}")
        connection.execute("PRAGMA foreign_keys = ON")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # A deferred transaction that starts to write fails with "database is locked" without waiting for
        # busy_timeout. BEGIN IMMEDIATE takes the write lock first, and waits for it.
        readonly = connection.get_execution_options().get(READONLY)
        if reserve is not None and not readonly:
            reserve.update()
        with nullcontext() if readonly or turnstile is None else turnstile.turn():
            # SQLAlchemy's way to execute a statement takes four times as long.
            connection.connection.cursor().execute("BEGIN" if readonly else "BEGIN IMMEDIATE")

    if turnstile is not None:
        event.listen(engine, "engine_disposed", lambda _engine: turnstile.close())
    return engine


def _create_private_file(path: str | None) -> None:
    """Create a missing file of SQLite for this user only. SQLite gives its further files the same mode.

    An existing file is not opened: closing it would release the locks of connections of this process.
    """
    if is_file(path):
        with suppress(OSError):  # SQLite reports what is wrong with the path
            os.close(os.open(str(path), os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))


def is_file(path: str | None) -> bool:
    """Return whether this is the path of a file, and not the name of a database in memory."""
    return path not in (None, "", ":memory:")


def _contains_folded(contents: str, folded: str) -> bool:
    return folded in contents.casefold()
