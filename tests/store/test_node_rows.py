"""Nodes show that they are alive; a name belongs to one process."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import update

from tests.store.stores import seconds_now
from tork_celery.domain.node import Node
from tork_celery.store import Database, nodes
from tork_celery.store.tables import nodes as node_table


def a_node(**values: Any) -> Node:
    return Node(
        **{
            "name": "default@here",
            "instance": "1",
            "hostname": "here",
            "pid": 7,
            "queues": ("default", "gpu"),
            "version": "0.1.0",
            "port": 3000,
        }
        | values
    )


def register(database: Database, *new: Node) -> None:
    with database.transaction() as tx:
        for node in new:
            nodes.register(tx, node)


def beat(database: Database, *, instance: str = "1") -> bool:
    with database.transaction() as tx:
        return nodes.record_heartbeat(tx, name="default@here", instance=instance, cpu_percent=12.5)


def active(database: Database, *, within_s: float = 60) -> list[str]:
    with database.reading() as tx:
        return [node.name for node in nodes.active(tx, within_s=within_s) if node.stopped_at is None]


def heard_of(database: Database, at: float) -> None:
    with database.transaction() as tx:
        tx.execute(update(node_table).values(heartbeat_at=at))


def test_a_node_comes_back_as_it_was_registered(database: Database) -> None:
    register(database, a_node())

    with database.transaction() as tx:
        found = nodes.get(tx, "default@here")

    assert found is not None
    assert found == a_node(started_at=found.started_at, heartbeat_at=found.heartbeat_at)
    assert found.started_at == pytest.approx(seconds_now(database), abs=5)


def test_there_is_no_node_of_another_name(database: Database) -> None:
    register(database, a_node())

    with database.transaction() as tx:
        assert nodes.get(tx, "default@there") is None


@pytest.mark.covers("Node.cpuPercent")
def test_a_beat_makes_a_node_heard_of(database: Database) -> None:
    register(database, a_node())
    heard_of(database, 1.0)
    assert active(database) == []

    assert beat(database)

    assert active(database) == ["default@here"]
    with database.transaction() as tx:
        found = nodes.get(tx, "default@here")
    assert found is not None
    assert found.cpu_percent == 12.5


def test_a_process_whose_name_was_taken_is_told_so(database: Database) -> None:
    register(database, a_node(instance="1"), a_node(instance="2", pid=8))

    assert not beat(database, instance="1")
    assert beat(database, instance="2")
    assert active(database) == ["default@here"]


def test_a_node_that_stopped_as_planned_says_so(database: Database) -> None:
    register(database, a_node(), a_node(name="gpu@here"))

    with database.transaction() as tx:
        nodes.record_stop(tx, name="gpu@here", instance="1")
        nodes.record_stop(tx, name="default@here", instance="of another process")

    assert active(database) == ["default@here"]


def test_nodes_are_sorted_by_name(database: Database) -> None:
    register(database, a_node(name="b@here"), a_node(name="a@here"))

    assert active(database) == ["a@here", "b@here"]


def test_a_node_that_was_not_heard_of_for_long_is_forgotten(database: Database) -> None:
    register(database, a_node())
    with database.transaction() as tx:
        nodes.remove_stale(tx, after_s=60)
        assert nodes.get(tx, "default@here") is not None
    heard_of(database, 1.0)

    with database.transaction() as tx:
        nodes.remove_stale(tx, after_s=60)
        assert nodes.get(tx, "default@here") is None


def test_of_processes_that_ask_for_a_new_name_at_once_the_others_see_the_first(database: Database) -> None:
    together = threading.Barrier(4)

    def claim(number: int) -> bool:
        together.wait()
        with database.transaction() as tx:
            found = nodes.claim_name(tx, "default@here")
            nodes.register(tx, a_node(instance=str(number)))
        return found is None

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(claim, range(4))) == [False, False, False, True]


def test_the_identity_of_an_installation_stays(database: Database) -> None:
    together = threading.Barrier(4)

    def ask(_: int) -> str:
        together.wait()
        with database.transaction() as tx:
            return nodes.cluster_id(tx)

    with ThreadPoolExecutor(4) as pool:
        [identity] = set(pool.map(ask, range(4)))

    assert len(identity) == 32
    assert ask_again(database) == identity


def ask_again(database: Database) -> str:
    with database.transaction() as tx:
        return nodes.cluster_id(tx)
