"""Backups of a SQLite datastore."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import cast

from tork_celery.store.database import Database


def copy(database: Database, file: Path) -> int:
    """Copy the datastore, as it is at one moment, to a new file that only its owner can read.

    Return the size of the file in bytes. Other processes go on reading and writing meanwhile. Raises
    FileExistsError.
    """
    file.touch(mode=0o600, exist_ok=False)
    with database.reading() as tx, closing(sqlite3.connect(file)) as target:
        cast(sqlite3.Connection, tx.connection.driver_connection).backup(target)
    return file.stat().st_size
