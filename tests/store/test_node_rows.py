"""Nodes record heartbeats, and each name belongs to one process."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import update

from tests.store.stores import seconds_now
from tork_celery.domain.node import Node
from tork_celery.store import Database, nodes
from tork_celery.store.tables import nodes as node_table


def make_node(**values: Any) -> Node:
    defaults: dict[str, Any] = {
        "name": "default@here",
        "instance": "1",
        "hostname": "here",
        "pid": 7,
        "queues": ("default", "gpu"),
        "version": "0.1.0",
        "port": 3000,
    }
    return Node(**(defaults | values))


def register(database: Database, *new: Node) -> None:
    with database.transaction() as tx:
        for node in new:
            nodes.register(tx, node)


def record_heartbeat(
    database: Database, *, instance: str = "1", queues: Sequence[str] = ("default",)
) -> bool:
    with database.transaction() as tx:
        return nodes.record_heartbeat(
            tx, name="default@here", instance=instance, queues=queues, cpu_percent=12.5
        )


def active(database: Database, *, within_s: float = 60) -> list[str]:
    with database.reading() as tx:
        return [node.name for node in nodes.active(tx, within_s=within_s) if node.stopped_at is None]


def set_heartbeats(database: Database, at: float) -> None:
    with database.transaction() as tx:
        tx.execute(update(node_table).values(heartbeat_at=at))


def test_node_round_trips(database: Database) -> None:
    register(database, make_node())

    with database.transaction() as tx:
        node = nodes.get(tx, "default@here")

    assert node is not None
    assert node == make_node(started_at=node.started_at, heartbeat_at=node.heartbeat_at)
    assert node.started_at == pytest.approx(seconds_now(database), abs=5)


def test_unknown_name_returns_none(database: Database) -> None:
    register(database, make_node())

    with database.transaction() as tx:
        assert nodes.get(tx, "default@there") is None


@pytest.mark.covers("Node.cpuPercent")
def test_heartbeat_makes_a_node_active(database: Database) -> None:
    register(database, make_node())
    set_heartbeats(database, 1.0)
    assert active(database) == []

    assert record_heartbeat(database)

    assert active(database) == ["default@here"]
    with database.transaction() as tx:
        node = nodes.get(tx, "default@here")
    assert node is not None
    assert node.cpu_percent == 12.5


def test_heartbeat_changes_the_queues_of_a_node(database: Database) -> None:
    register(database, make_node())
    record_heartbeat(database, queues=())

    with database.reading() as tx:
        assert [node.queues for node in nodes.active(tx, within_s=60)] == [()]


def test_heartbeat_of_a_replaced_process_is_rejected(database: Database) -> None:
    register(database, make_node(instance="1"), make_node(instance="2", pid=8))

    assert not record_heartbeat(database, instance="1")
    assert record_heartbeat(database, instance="2")
    assert active(database) == ["default@here"]


def test_planned_stop_is_recorded_for_the_same_instance_only(database: Database) -> None:
    register(database, make_node(), make_node(name="gpu@here"))

    with database.transaction() as tx:
        nodes.record_stop(tx, name="gpu@here", instance="1")
        nodes.record_stop(tx, name="default@here", instance="2")

    assert active(database) == ["default@here"]


def test_nodes_are_sorted_by_name(database: Database) -> None:
    register(database, make_node(name="b@here"), make_node(name="a@here"))

    assert active(database) == ["a@here", "b@here"]


def test_stale_node_is_removed(database: Database) -> None:
    register(database, make_node())
    with database.transaction() as tx:
        nodes.remove_stale(tx, after_s=60)
        assert nodes.get(tx, "default@here") is not None
    set_heartbeats(database, 1.0)

    with database.transaction() as tx:
        nodes.remove_stale(tx, after_s=60)
        assert nodes.get(tx, "default@here") is None


def test_concurrent_claims_of_a_name_are_serialized(database: Database) -> None:
    barrier = threading.Barrier(4)

    def claim(number: int) -> bool:
        barrier.wait()
        with database.transaction() as tx:
            earlier = nodes.claim_name(tx, "default@here")
            nodes.register(tx, make_node(instance=str(number)))
        return earlier is None

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(claim, range(4))) == [False, False, False, True]


def test_cluster_id_is_created_once(database: Database) -> None:
    barrier = threading.Barrier(4)

    def cluster_id(_: int) -> str:
        barrier.wait()
        with database.transaction() as tx:
            return nodes.cluster_id(tx)

    with ThreadPoolExecutor(4) as pool:
        [cluster] = set(pool.map(cluster_id, range(4)))

    assert len(cluster) == 32
    with database.transaction() as tx:
        assert nodes.cluster_id(tx) == cluster
