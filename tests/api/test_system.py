"""How the system is."""

import pytest
from domain.samples import task_definition
from flask.testing import FlaskClient
from services.fakes import FakeDispatcher
from store.stores import CuttableDatabase, store_task

from tork_celery.domain.node import Node
from tork_celery.domain.states import TaskState
from tork_celery.store import nodes


def test_a_system_that_is_well_is_up(client: FlaskClient) -> None:
    answer = client.get("/health")

    assert (answer.status_code, answer.json) == (200, {"status": "UP"})


@pytest.mark.parametrize("down", [{"broker"}, {"datastore"}, {"broker", "datastore"}])
def test_the_part_that_is_down_is_named(
    client: FlaskClient, database: CuttableDatabase, dispatcher: FakeDispatcher, down: set[str]
) -> None:
    dispatcher.away = "broker" in down
    database.away = "datastore" in down

    answer = client.get("/health")

    assert answer.status_code == 503
    assert answer.json["status"] == "DOWN"
    assert answer.json["down"] == {name: f"the {name} is away" for name in down}


def test_nodes_are_listed(client: FlaskClient, database: CuttableDatabase) -> None:
    node = Node(
        name="gpu@here",
        instance="1",
        hostname="here",
        pid=7,
        queues=("gpu", "slow"),
        version="0.1.0",
        port=8000,
    )
    with database.transaction() as tx:
        nodes.register(tx, node)
    store_task(database, state=TaskState.RUNNING, node="gpu@here")

    [found] = client.get("/nodes").json

    assert found.pop("startedAt") == found.pop("lastHeartbeatAt")
    assert found == {
        "id": "1",
        "name": "gpu@here",
        "hostname": "here",
        "port": 8000,
        "queue": "gpu,slow",
        "status": "UP",
        "taskCount": 1,
        "version": "0.1.0",
    }


def test_without_nodes_the_list_is_empty(client: FlaskClient) -> None:
    answer = client.get("/nodes")

    assert (answer.status_code, answer.json) == (200, [])


def test_queues_are_listed_with_their_zeros(client: FlaskClient, database: CuttableDatabase) -> None:
    store_task(database, task_definition(queue="gpu"))

    assert client.get("/queues").json == [
        {"name": "default", "size": 0, "subscribers": 0, "unacked": 0},
        {"name": "gpu", "size": 1, "subscribers": 0, "unacked": 0},
    ]
