"""Mapping of the errors of SQLite and PostgreSQL."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from tork_celery.domain.errors import DatastoreFull, DatastoreUnavailable
from tork_celery.store.disk_reserve import DiskReserve

_POSTGRESQL_DISK_FULL = "53100"
# SQLite reports that it cannot create or grow its shared-memory file as one of these.
_DUE_TO_FULL_DISK = (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN)
_PRIMARY_CODE = 0xFF


@contextmanager
def map_errors(reserve: DiskReserve | None) -> Iterator[None]:
    """Raise DatastoreUnavailable for the errors of an outage, and DatastoreFull if the disk is full.

    A full disk releases `reserve`, so that the next transaction may succeed.
    """
    try:
        yield
    except PoolTimeout as error:
        raise DatastoreUnavailable(f"no free connection to the datastore: {error}") from error
    except OperationalError as error:
        raise _map_operational_error(error.orig, reserve) from error
    except sqlite3.OperationalError as error:  # of a BEGIN, which SQLAlchemy does not execute
        raise _map_operational_error(error, reserve) from error
    except DBAPIError as error:
        if error.connection_invalidated:
            raise DatastoreUnavailable(f"the connection to the datastore was lost: {error.orig}") from error
        raise


def _map_operational_error(
    original: BaseException | None, reserve: DiskReserve | None
) -> DatastoreUnavailable:
    if getattr(original, "sqlstate", None) == _POSTGRESQL_DISK_FULL:
        return DatastoreFull(f"the disk of the datastore is full: {original}")
    if not _is_sqlite_full(original, reserve):
        return DatastoreUnavailable(f"the datastore does not answer: {original}")
    if reserve is None:
        return DatastoreFull(f"the disk of the datastore is full: {original}")
    reserve.release()
    return reserve.error()


def _is_sqlite_full(error: BaseException | None, reserve: DiskReserve | None) -> bool:
    if not isinstance(error, sqlite3.Error):
        return False
    code = error.sqlite_errorcode & _PRIMARY_CODE
    return code == sqlite3.SQLITE_FULL or (
        code in _DUE_TO_FULL_DISK and reserve is not None and reserve.explains_errors()
    )
