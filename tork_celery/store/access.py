"""Whether a datastore that cannot be used is away, or refuses the settings."""

import os
import sqlite3
from pathlib import Path

from sqlalchemy import URL

from tork_celery.domain.errors import ConfigurationError, DatastoreUnavailable
from tork_celery.store.database import Database

_PING_TIMEOUT_S = 3
# PostgreSQL's words, in English: libpq gives no code for a connection that fails. The last ones are of a
# server that starts, stops or recovers, and that may have finished when it is asked again.
_PASSING_REFUSALS = ("too many", "remaining connection slots", "the database system is")


def check(database: Database, error: DatastoreUnavailable) -> None:
    """Raise ConfigurationError if the settings explain `error`: a wrong password, a missing directory.

    A server that does not answer, or that is starting, is away. It may come back, so that is no such error.
    """
    refused = _is_refused if database.engine.dialect.name == "postgresql" else _is_no_file
    if refused(database.engine.url, error):
        raise ConfigurationError(f"TORK_DATASTORE_URL: {error}") from error


def _is_refused(url: URL, error: DatastoreUnavailable) -> bool:
    """Return whether the server accepts connections, but not ours."""
    from psycopg import pq  # noqa: PLC0415  not needed on SQLite

    if any(words in str(error) for words in _PASSING_REFUSALS):
        return False
    address = url.set(drivername="postgresql").update_query_dict({"connect_timeout": str(_PING_TIMEOUT_S)})
    return pq.PGconn.ping(address.render_as_string(hide_password=False).encode()) == pq.Ping.OK


def _is_no_file(url: URL, error: DatastoreUnavailable) -> bool:
    """Return whether the directory of the file is missing, or the file may not be opened."""
    cause = error.__cause__
    original = getattr(cause, "orig", None)
    if not isinstance(original, sqlite3.Error) or url.database is None:
        return False
    path = Path(url.database)
    if path.exists():
        return not path.is_file() or not os.access(path, os.R_OK | os.W_OK)
    return not os.access(path.parent, os.W_OK)
