"""What nodes and coordinators do every two seconds does not take longer for jobs that have ended nor, but for
counting them, for tasks that wait."""

import re
from collections.abc import Callable

import pytest
from sqlalchemy import Connection

from tests.store.plans import plans_of
from tests.store.stores import store_task
from tork_celery.store import Database, leases, recovery_queries, retention, tasks, webhook_queue

NODE = "default@here"

OF_WHAT_RUNS = {
    "lost": lambda tx: recovery_queries.lost(tx, limit=5),
    "unadvanced": lambda tx: recovery_queries.unadvanced(tx, after_s=2.0, limit=5),
    "unfilled": lambda tx: recovery_queries.partly_started(tx, limit=5),
    "waiting_for_ended": lambda tx: recovery_queries.with_ended_subjob(tx, limit=5),
    "renew": lambda tx: leases.renew(tx, node=NODE, running=["1"], lease_s=9.0, progress={"1": 5.0}),
    "of_node": lambda tx: leases.of_node(tx, NODE),
    "extend": lambda tx: leases.extend(tx, node=NODE, lease_s=9.0),
    "count_by_node": tasks.count_by_node,
    "begun by a node": lambda tx: recovery_queries.waiting_longest(
        tx, queue="q", node=NODE, after_s=5.0, limit=5
    ),
}
OF_WHAT_IS_ACTIVE = {
    "orphans": lambda tx: recovery_queries.orphans(tx, limit=5),
    "waiting_queues": recovery_queries.waiting_queues,
    "count_by_queue": tasks.count_by_queue,
    "waiting_longest": lambda tx: recovery_queries.waiting_longest(
        tx, queue="q", node=None, after_s=5.0, limit=5
    ),
    "remove_due": lambda tx: retention.remove_due(tx, keep_s=9.0, limit=5),
    "any_due": webhook_queue.any_due,
}


def plans(database: Database, action: Callable[[Connection], object]) -> str:
    store_task(database)
    with database.transaction() as tx:
        return plans_of(tx, action)


@pytest.mark.parametrize("action", OF_WHAT_RUNS)
def test_what_runs_is_found_by_an_index_of_nothing_else(database: Database, action: str) -> None:
    found = plans(database, OF_WHAT_RUNS[action])

    assert scans(found) == []
    if database.engine.name == "sqlite":  # PostgreSQL judges by how many rows there are
        assert "ix_tasks_running" in found


@pytest.mark.parametrize("action", OF_WHAT_IS_ACTIVE)
def test_what_is_active_is_found_by_indexes(database: Database, action: str) -> None:
    found = plans(database, OF_WHAT_IS_ACTIVE[action])

    assert scans(found) == []
    assert "ix_jobs_state_seq" not in found  # most of the jobs have ended


def test_what_waits_longest_is_read_in_the_order_of_an_index(database: Database) -> None:
    found = plans(database, OF_WHAT_IS_ACTIVE["waiting_longest"])

    assert "ix_tasks_active" in found
    assert "SORT" not in found.upper().replace("TEMP B-TREE", "SORT")
    assert "(sent_at < " not in re.sub(r"Index Cond: .*", "", found)


def scans(found: str) -> list[str]:
    """The steps of plans that read a table as a whole."""
    steps = re.findall(
        r"SCAN (?:tasks|jobs|webhook_calls)\b.*|Seq Scan on (?:tasks|jobs|webhook_calls)\b.*", found
    )
    return [step for step in steps if not re.search(r"USING INDEX ix_(tasks|jobs)_(running|active)", step)]
