"""A backlog: many waiting tasks, stored directly in the datastore of a standalone installation."""

import os
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from typing import Any

import redis

from tests.system.installation import Installation

BACKLOG = int(os.environ.get("CHAOS_BACKLOG", "5000"))
"""Number of waiting tasks; `make chaos` has 100,000."""

_COPY = """
WITH RECURSIVE numbers(number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM numbers WHERE number < :count)
INSERT INTO {table} ({columns}) SELECT {values} FROM {table}, numbers WHERE {table}.{key} = :template
"""
_PRIORITIES = range(10)
_KEY_SEPARATOR = "\x06\x16"  # of kombu, between the name of a queue and a priority


def store_backlog(installation: Installation, task: Mapping[str, Any], *, number: int = BACKLOG) -> str:
    """Submit a task, and store `number` copies of its job that are not sent. Return the id of the first."""
    task_id = str(installation.post("/task", task)["id"])
    with closing(sqlite3.connect(installation.data_dir / "tork.db", timeout=30)) as datastore, datastore:
        datastore.execute("PRAGMA foreign_keys = OFF")
        (job_id,) = datastore.execute("SELECT job_id FROM tasks WHERE id = ?", (task_id,)).fetchone()
        id_ = "printf('%032x', number)"
        _copy(datastore, "jobs", ("id", job_id), {"id": id_, "seq": "NULL"}, number)
        _copy(datastore, "job_definitions", ("job_id", job_id), {"job_id": id_}, number)
        new = {"id": id_, "job_id": id_, "sent_at": "NULL"}
        _copy(datastore, "tasks", ("id", task_id), new, number)
    return task_id


def _copy(
    datastore: sqlite3.Connection, table: str, where: tuple[str, str], new: Mapping[str, str], number: int
) -> None:
    """Copy the row with a key `number` times; `new` has SQL expressions for columns with other values."""
    key, template = where
    names = [name for _, name, *_ in datastore.execute(f"PRAGMA table_info({table})")]
    values = [new.get(name, f'{table}."{name}"') for name in names]
    columns = ", ".join(f'"{name}"' for name in names)
    statement = _COPY.format(table=table, columns=columns, values=", ".join(values), key=key)
    datastore.execute(statement, {"count": number, "template": template})


def count_messages(installation: Installation, queue: str) -> int:
    """Return the number of messages that the embedded broker holds in a queue."""
    with redis.Redis(unix_socket_path=str(installation.data_dir / "broker.sock")) as broker:
        keys = [queue, *(f"{queue}{_KEY_SEPARATOR}{priority}" for priority in _PRIORITIES)]
        return sum(int(broker.llen(key)) for key in keys)
