"""Concurrency and lost connections on PostgreSQL. `tests/store` has the tests of both datastores."""

import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from sqlalchemy import Connection, func, insert, select, text
from sqlalchemy.exc import InternalError

from scripts import servers
from tests.domain.samples import submission
from tests.eventually import eventually
from tork_celery.domain.errors import DatastoreUnavailable
from tork_celery.domain.logs import LogPart, LogPosition
from tork_celery.domain.model import Task
from tork_celery.domain.states import TaskState
from tork_celery.store import Database, claims, jobs, leases, logs, nodes, recovery_queries, tasks
from tork_celery.store.migration import migrate
from tork_celery.store.tables import identity

pytestmark = pytest.mark.servers

NODE = "default@here"


@pytest.fixture
def database(postgresql_url: str) -> Iterator[Database]:
    with closing(Database.connect(postgresql_url)) as opened:
        yield opened


def add_lost_tasks(database: Database, number: int) -> list[Task]:
    """Store claimed tasks whose lease expired a minute ago."""
    for _ in range(number):
        with database.transaction() as tx:
            plan = submission(now=database.now(tx))
            jobs.add(tx, [plan.job])
            tasks.add(tx, plan.added)
            claimed = claims.claim(tx, plan.added[0].ref, node=NODE, lease_s=-60.0)
            assert claimed is not None
    with database.reading() as tx:
        return leases.of_node(tx, NODE)


def terminate_connections(database: Database) -> None:
    """Terminate the other connections to the server, and wait for their end."""
    with database.transaction() as tx:
        tx.execute(
            text("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
        )


def test_clock_returns_seconds_since_the_epoch(database: Database) -> None:
    with database.reading() as tx:
        assert database.now(tx) == pytest.approx(datetime.now(UTC).timestamp(), abs=2)


def test_time_without_a_transaction_is_that_of_the_server(database: Database) -> None:
    with database.reading() as tx:
        before = database.now(tx)
        assert database.current_time() == pytest.approx(before, abs=2)


def test_clock_advances_within_a_transaction(database: Database) -> None:
    with database.transaction() as tx:
        first = database.now(tx)
        eventually(lambda: database.now(tx) > first)


def test_read_transaction_is_a_snapshot(database: Database) -> None:
    with database.reading() as tx:
        before = leases.of_node(tx, NODE)
        add_lost_tasks(database, 1)
        assert leases.of_node(tx, NODE) == before == []
    with database.reading() as tx:
        assert len(leases.of_node(tx, NODE)) == 1


def test_read_transaction_rejects_writes(database: Database) -> None:
    with pytest.raises(InternalError, match="read-only"), database.reading() as tx:
        tx.execute(insert(identity).values(cluster="x"))
    with database.transaction() as tx:  # the same connection, which is as it was
        tx.execute(insert(identity).values(cluster="x"))


def test_concurrent_sweeps_find_different_lost_tasks(database: Database) -> None:
    lost = {task.id for task in add_lost_tasks(database, 4)}
    with database.transaction() as tx1, database.transaction() as tx2:
        first = {task.id for task in recovery_queries.lost(tx1, limit=2)}
        second = {task.id for task in recovery_queries.lost(tx2, limit=10)}
    assert len(first) == 2
    assert first | second == lost
    assert not first & second


def test_concurrent_sweeps_republish_different_tasks(database: Database) -> None:
    with database.transaction() as tx:
        plans = [submission(now=1.0) for _ in range(4)]
        for plan in plans:
            jobs.add(tx, [plan.job])
            tasks.add(tx, [replace(task, sent_at=1.0) for task in plan.added])

    def waiting(tx: Connection, limit: int) -> set[str]:
        longest = recovery_queries.waiting_longest(tx, queue="default", node=None, after_s=5.0, limit=limit)
        return {task.id for task in longest}

    with database.transaction() as tx1, database.transaction() as tx2:
        first, second = waiting(tx1, 2), waiting(tx2, 10)
    assert (len(first), len(second)) == (2, 2)
    assert not first & second


def test_job_is_not_deleted_while_its_output_is_stored(database: Database) -> None:
    [task] = add_lost_tasks(database, 1)
    part = LogPart(task_id=task.id, step=0, contents="output", position=LogPosition())

    def delete() -> None:
        with database.transaction() as tx:
            jobs.lock(tx, task.job_id)
            jobs.remove(tx, task.job_id)

    with ThreadPoolExecutor(1) as pool:
        with database.transaction() as tx:
            assert claims.current_refs(tx, [task.ref]) == {task.ref}
            deleted = pool.submit(delete)
            eventually(lambda: deleted.done() or any_waits_for_a_lock(database))
            logs.add(tx, job_id=task.job_id, ref=task.ref, parts=[part])
        deleted.result(timeout=20)
    with database.transaction() as tx:
        assert claims.current_refs(tx, [task.ref]) == set()


def any_waits_for_a_lock(database: Database) -> bool:
    with database.reading() as tx:
        return bool(tx.scalar(text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")))


def test_concurrent_claims_claim_each_task_once(database: Database) -> None:
    with database.transaction() as tx:
        plans = [submission(now=database.now(tx)) for _ in range(10)]
        for plan in plans:
            jobs.add(tx, [plan.job])
            tasks.add(tx, plan.added)
    refs = [plan.added[0].ref for plan in plans]
    barrier = threading.Barrier(4)

    def claim_all(number: int) -> list[Task]:
        barrier.wait()
        claimed = []
        for ref in refs:
            with database.transaction() as tx:
                claimed.append(claims.claim(tx, ref, node=f"node{number}", lease_s=30.0))
        return [task for task in claimed if task is not None]

    with ThreadPoolExecutor(4) as pool:
        claimed = [task for tasks_ in pool.map(claim_all, range(4)) for task in tasks_]
    assert sorted(task.id for task in claimed) == sorted(ref.task_id for ref in refs)
    assert {task.state for task in claimed} == {TaskState.RUNNING}


def test_concurrent_first_processes_agree_on_the_cluster_id(database: Database) -> None:
    barrier = threading.Barrier(4)

    def cluster_id(_: int) -> str:
        with database.transaction() as tx:
            barrier.wait()
            return nodes.cluster_id(tx)

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(cluster_id, range(4)))) == 1
    with database.reading() as tx:
        assert tx.scalar(select(func.count()).select_from(identity)) == 1


def test_connection_lost_during_a_transaction_raises_unavailable(database: Database) -> None:
    def work(tx: Connection) -> None:
        database.now(tx)
        terminate_connections(other)
        database.now(tx)

    with closing(Database.connect(database.engine.url.render_as_string(hide_password=False))) as other:
        with pytest.raises(DatastoreUnavailable), database.transaction() as tx:
            work(tx)
        with database.transaction() as tx:
            assert database.now(tx) > 0


def test_connection_lost_before_the_commit_raises_unavailable(database: Database) -> None:
    def work(tx: Connection) -> None:
        tx.execute(insert(identity).values(cluster="lost"))
        terminate_connections(other)

    with closing(Database.connect(database.engine.url.render_as_string(hide_password=False))) as other:
        with pytest.raises(DatastoreUnavailable), database.transaction() as tx:
            work(tx)
        with database.reading() as tx:
            assert tx.scalar(select(func.count()).select_from(identity)) == 0


def test_idle_connections_that_were_lost_are_replaced(database: Database) -> None:
    with database.reading(), database.reading():
        pass
    with closing(Database.connect(database.engine.url.render_as_string(hide_password=False))) as other:
        terminate_connections(other)
    with database.reading() as tx:
        assert database.now(tx) > 0


@pytest.mark.parametrize("stop_signal", [signal.SIGINT, signal.SIGQUIT], ids=["stopped", "crashed"])
def test_restarted_server_is_used_again(stop_signal: signal.Signals) -> None:
    with servers.running_postgresql() as server, closing(Database.connect(server.url)) as database:
        migrate(database)
        server.stop(stop_signal)
        with pytest.raises(DatastoreUnavailable, match="does not answer"), database.transaction():
            pass
        server.start()
        with database.reading() as tx:
            assert leases.of_node(tx, NODE) == []


def test_error_does_not_quote_a_wrong_password(database: Database) -> None:
    url = database.engine.url.set(password="wrong-one").render_as_string(hide_password=False)
    with (
        closing(Database.connect(url)) as wrong,
        pytest.raises(DatastoreUnavailable) as error,
        wrong.reading(),
    ):
        pass
    assert "wrong-one" not in str(error.value)
