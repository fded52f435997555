"""A node has its name alone, and is alive as long as it records heartbeats."""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import update

from tests.eventually import eventually
from tests.store.stores import FlakyDatabase, database
from tork_celery import presence
from tork_celery.domain.errors import ConfigurationError, DatastoreUnavailable
from tork_celery.domain.node import Node
from tork_celery.presence import Presence, cpu_percent
from tork_celery.store import nodes, tables

__all__ = ["database"]

NAME = "default@here"
LEASE_S = 10.0
HERE = socket.gethostname()


def make_node(instance: str = "1", *, hostname: str = "elsewhere", pid: int = 1) -> Node:
    return Node(name=NAME, instance=instance, hostname=hostname, pid=pid, queues=("default",), version="0")


def claim_name(database: FlakyDatabase, node: Node) -> None:
    presence.claim_name(database, node, lease_s=LEASE_S)


def make_presence(database: FlakyDatabase, **options: Any) -> Presence:
    """Register a node and make its presence."""
    claim_name(database, make_node())
    return Presence(database, make_node(), interval_s=0.01, **options)


def stored_node(database: FlakyDatabase) -> Node:
    with database.transaction() as tx:
        node = nodes.get(tx, NAME)
    assert node is not None
    return node


def pid_of_an_ended_process() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


class Beats:
    """Records heartbeats and outages; raises `errors` first."""

    def __init__(self, *errors: Exception) -> None:
        self.events: list[str] = []
        self.errors = list(errors)

    def on_beat(self, now: float) -> None:
        assert now > 0
        if self.errors:
            raise self.errors.pop(0)
        self.events.append("beat")

    def on_outage(self) -> None:
        self.events.append("outage")


def test_failed_heartbeat_is_remembered_until_one_succeeds(database: FlakyDatabase) -> None:
    api_presence = make_presence(database)
    database.failures_left = 1
    with pytest.raises(DatastoreUnavailable):
        api_presence.beat()
    assert api_presence.write_error == "the datastore is away"

    api_presence.beat()
    assert api_presence.write_error is None


def test_heartbeat_tells_which_queues_are_served(database: FlakyDatabase) -> None:
    served = ["default"]
    worker_presence = make_presence(database, queues=lambda: served)
    worker_presence.beat()
    assert stored_node(database).queues == ("default",)

    served.clear()
    worker_presence.beat()
    assert stored_node(database).queues == ()


def test_free_name_is_claimed(database: FlakyDatabase) -> None:
    claim_name(database, make_node("1"))

    assert stored_node(database).instance == "1"


@pytest.mark.parametrize(
    "earlier",
    [
        pytest.param(make_node(), id="on another host"),
        pytest.param(make_node(hostname=HERE, pid=os.getppid()), id="on this host"),
        pytest.param(make_node(hostname=HERE, pid=1), id="of another user on this host"),
    ],
)
def test_name_of_a_live_process_is_refused(database: FlakyDatabase, earlier: Node) -> None:
    claim_name(database, earlier)

    with pytest.raises(ConfigurationError, match=f"'{NAME}' is alive on {earlier.hostname}.*-n NAME@%h"):
        claim_name(database, make_node("2"))

    assert stored_node(database).instance == "1"


def test_check_of_a_name_registers_nothing(database: FlakyDatabase) -> None:
    presence.check_name(database, make_node("1"), lease_s=LEASE_S)
    with database.transaction() as tx:
        assert nodes.get(tx, NAME) is None

    claim_name(database, make_node("1"))
    with pytest.raises(ConfigurationError, match=f"'{NAME}' is alive"):
        presence.check_name(database, make_node("2"), lease_s=LEASE_S)


def end_by_death(database: FlakyDatabase) -> None:
    claim_name(database, make_node(hostname=HERE, pid=pid_of_an_ended_process()))


def end_by_restart_of_the_container(database: FlakyDatabase) -> None:
    """The process that starts again has the same host name and the same id."""
    claim_name(database, make_node(hostname=HERE, pid=os.getpid()))


def end_as_planned(database: FlakyDatabase) -> None:
    claim_name(database, make_node())
    with database.transaction() as tx:
        nodes.record_stop(tx, name=NAME, instance="1")


def end_by_silence(database: FlakyDatabase) -> None:
    claim_name(database, make_node())
    with database.transaction() as tx:
        tx.execute(update(tables.nodes).values(heartbeat_at=1.0))


@pytest.mark.parametrize(
    "end", [end_by_death, end_by_restart_of_the_container, end_as_planned, end_by_silence]
)
def test_name_of_an_ended_process_is_claimed_at_once(
    database: FlakyDatabase, end: Callable[[FlakyDatabase], None]
) -> None:
    end(database)

    claim_name(database, make_node("2", hostname=HERE, pid=os.getpid()))

    assert stored_node(database).instance == "2"


def test_heartbeats_are_recorded_until_the_stop(database: FlakyDatabase) -> None:
    heartbeat = make_presence(database)
    before = stored_node(database)
    heartbeat.start()
    try:
        eventually(lambda: stored_node(database).heartbeat_at > before.heartbeat_at)
    finally:
        heartbeat.stop()

    assert stored_node(database).stopped_at is not None


def test_heartbeat_survives_an_outage(database: FlakyDatabase) -> None:
    beats = Beats()
    heartbeat = make_presence(database, on_beat=beats.on_beat, on_outage=beats.on_outage)
    database.down = True
    heartbeat.start()
    try:
        eventually(lambda: database.failures > 1)
        database.down = False
        before = stored_node(database).heartbeat_at
        eventually(lambda: stored_node(database).heartbeat_at > before)
    finally:
        heartbeat.stop()
    assert beats.events[:2] == ["outage", "outage"]
    assert beats.events[-1] == "beat"


def test_outage_in_the_callback_counts_as_an_outage(database: FlakyDatabase) -> None:
    beats = Beats(DatastoreUnavailable("down"))
    heartbeat = make_presence(database, on_beat=beats.on_beat, on_outage=beats.on_outage)

    with pytest.raises(DatastoreUnavailable):
        heartbeat.beat()

    assert beats.events == ["outage"]


def test_heartbeat_survives_a_bug_in_the_callback(database: FlakyDatabase) -> None:
    beats = Beats(KeyError(), KeyError())
    heartbeat = make_presence(database, on_beat=beats.on_beat)
    heartbeat.start()
    try:
        eventually(lambda: "beat" in beats.events)
    finally:
        heartbeat.stop()


def test_replaced_node_ends_its_heartbeat(database: FlakyDatabase) -> None:
    replaced = threading.Event()
    heartbeat = make_presence(database, on_replaced=replaced.set)
    with database.transaction() as tx:
        nodes.register(tx, make_node("2"))

    heartbeat.start()
    assert replaced.wait(20)
    heartbeat.stop()

    stored = stored_node(database)
    assert (stored.instance, stored.stopped_at) == ("2", None)


def test_node_without_a_row_is_registered_by_its_heartbeat(database: FlakyDatabase) -> None:
    """API processes claim no name."""
    node = make_node()

    Presence(database, node, interval_s=0.01).beat()

    assert stored_node(database).instance == node.instance


def test_node_stops_while_the_datastore_is_down(database: FlakyDatabase) -> None:
    heartbeat = make_presence(database)
    heartbeat.start()
    database.down = True

    heartbeat.stop()

    database.down = False
    assert stored_node(database).stopped_at is None


def test_cpu_percent_is_a_percentage() -> None:
    assert 0.0 <= cpu_percent() <= 100.0
