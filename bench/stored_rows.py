"""The floor of a submission: the rows of one job, inserted by the bare driver of SQLite."""

import itertools
import sqlite3
import time
from contextlib import closing
from pathlib import Path

from tork_celery.store import Database
from tork_celery.store.migration import migrate

_KEYS = {"jobs": "id", "job_definitions": "job_id", "tasks": "job_id", "audit": "target"}
Rows = dict[str, list[dict[str, object]]]


def rows_of_job(database: Path, job_id: str) -> Rows:
    """Return the rows that one submission has stored, by table, without their sequence numbers."""
    with closing(sqlite3.connect(database)) as connection:
        connection.row_factory = sqlite3.Row
        return {
            name: [
                {column: row[column] for column in row.keys() if column != "seq"}  # noqa: SIM118
                for row in connection.execute(f"SELECT * FROM {name} WHERE {key} = ?", [job_id])
            ]
            for name, key in _KEYS.items()
        }


def insert_rate(rows: Rows, directory: Path, *, duration_s: float) -> float:
    """Return how often a second the rows are inserted, with new ids, each time in a transaction."""
    path = directory / "floor.db"
    with closing(Database.connect(f"sqlite:///{path}")) as database:
        migrate(database)
    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("PRAGMA foreign_keys = ON")
            return _insert(connection, rows, duration_s)
    finally:
        for each in directory.glob("floor.db*"):
            each.unlink()


def _insert(connection: sqlite3.Connection, rows: Rows, duration_s: float) -> float:
    end_s = time.perf_counter() + duration_s
    for number in itertools.count():
        if time.perf_counter() > end_s:
            return number / duration_s
        connection.execute("BEGIN IMMEDIATE")
        for table, of_table in rows.items():
            for row in of_table:
                new = row | {_KEYS[table]: f"{number:032x}"}
                if table == "tasks":
                    new["id"] = f"{number:032x}"
                columns = ", ".join(f'"{column}"' for column in new)
                statement = f"INSERT INTO {table} ({columns}) VALUES ({', '.join('?' * len(new))})"
                connection.execute(statement, list(new.values()))
        connection.execute("COMMIT")
    raise AssertionError
