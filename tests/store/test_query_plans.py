"""Periodic queries of nodes and coordinators use indexes.

Their duration does not depend on the number of ended jobs and, except for counts, of waiting tasks.
"""

import re
from collections.abc import Callable

import pytest
from sqlalchemy import Connection

from tests.store.query_plans import explain_statements
from tests.store.stores import store_task
from tork_celery.store import (
    Database,
    job_slots,
    leases,
    publishing_window,
    recovery_queries,
    retention,
    tasks,
    webhook_queue,
)

NODE = "default@here"

RUNNING_QUERIES = {
    "lost": lambda tx: recovery_queries.lost(tx, limit=5),
    "unadvanced": lambda tx: recovery_queries.unadvanced(tx, after_s=2.0, limit=5),
    "partly_started": lambda tx: recovery_queries.partly_started(tx, limit=5),
    "with_ended_subjob": lambda tx: recovery_queries.with_ended_subjob(tx, limit=5),
    "renew": lambda tx: leases.renew(
        tx, node=NODE, running=["1"], lease_s=9.0, progress={"1": 5.0}, reports={}
    ),
    "of_node": lambda tx: leases.of_node(tx, NODE),
    "extend": lambda tx: leases.extend(tx, node=NODE, lease_s=9.0),
    "count_by_node": tasks.count_by_node,
    "between_steps": lambda tx: recovery_queries.waiting_longest(
        tx, queue="q", node=NODE, after_s=5.0, limit=5
    ),
}
ACTIVE_QUERIES = {
    "orphans": lambda tx: recovery_queries.orphans(tx, limit=5),
    "waiting_queues": recovery_queries.waiting_queues,
    "count_by_queue": tasks.count_by_queue,
    "waiting_longest": lambda tx: recovery_queries.waiting_longest(
        tx, queue="q", node=None, after_s=5.0, limit=5
    ),
    "remove_due": lambda tx: retention.remove_due(tx, keep_s=9.0, limit=5),
    "any_due": webhook_queue.any_due,
    "active_of_job": lambda tx: tasks.active(tx, "job", limit=5, running_first=True),
    "with_ready_tasks": lambda tx: recovery_queries.with_ready_tasks(tx, limit=5),
    "slot_holders": lambda tx: job_slots.holders(tx, "k"),
    "next_waiting": lambda tx: job_slots.next_waiting(tx, "k"),
    "stopping": lambda tx: recovery_queries.stopping(tx, limit=5),
    "mark_next_sent": lambda tx: publishing_window.mark_next_sent(tx, ["default"], lease_s=9.0),
    "queues_with_room": lambda tx: publishing_window.queues_with_room(tx, lease_s=9.0),
    "clear_sent": lambda tx: publishing_window.clear_sent(tx, "default"),
    "seconds_until_next_retry": recovery_queries.seconds_until_next_retry,
    "due_retries": lambda tx: recovery_queries.due_retries(tx, limit=5),
}


def plans(database: Database, action: Callable[[Connection], object]) -> str:
    store_task(database)
    with database.transaction() as tx:
        return explain_statements(tx, action)


@pytest.mark.parametrize("action", RUNNING_QUERIES)
def test_queries_of_running_tasks_use_their_partial_index(database: Database, action: str) -> None:
    explained = plans(database, RUNNING_QUERIES[action])

    assert full_scans(explained) == []
    if database.engine.name == "sqlite":  # PostgreSQL chooses by the number of rows
        assert "ix_tasks_running" in explained


@pytest.mark.parametrize("action", ACTIVE_QUERIES)
def test_queries_of_active_rows_use_indexes(database: Database, action: str) -> None:
    explained = plans(database, ACTIVE_QUERIES[action])

    assert full_scans(explained) == []
    assert "ix_jobs_state_seq" not in explained  # most of the jobs have ended


def test_longest_waiting_tasks_are_read_in_index_order(database: Database) -> None:
    explained = plans(database, ACTIVE_QUERIES["waiting_longest"])

    assert "ix_tasks_active" in explained
    assert "SORT" not in explained.upper().replace("TEMP B-TREE", "SORT")
    assert "(sent_at < " not in re.sub(r"Index Cond: .*", "", explained)


def test_next_tasks_to_send_are_read_in_index_order(database: Database) -> None:
    explained = plans(database, ACTIVE_QUERIES["mark_next_sent"])

    assert "ix_tasks_unsent" in explained
    assert "B-TREE FOR ORDER BY" not in explained
    assert "Sort" not in explained


def full_scans(explained: str) -> list[str]:
    """Return the steps that read a whole table."""
    steps = re.findall(
        r"SCAN (?:tasks|jobs|webhook_calls)\b.*|Seq Scan on (?:tasks|jobs|webhook_calls)\b.*", explained
    )
    return [step for step in steps if not re.search(r"USING INDEX ix_(tasks|jobs)_(running|active)", step)]
