"""How the system is."""

import pytest
from flask.testing import FlaskClient

from tests.domain.samples import task_definition
from tests.services.fakes import FakeDispatcher
from tests.store.stores import CuttableDatabase, store_task, task_now
from tork_celery.domain.node import Node
from tork_celery.domain.states import TaskState
from tork_celery.store import jobs, nodes


def test_a_system_that_is_well_is_up(client: FlaskClient) -> None:
    answer = client.get("/health")

    assert (answer.status_code, answer.json) == (200, {"status": "UP"})


@pytest.mark.covers("Health.status", "Health.down")
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


@pytest.mark.covers(
    "Node.id",
    "Node.name",
    "Node.hostname",
    "Node.startedAt",
    "Node.lastHeartbeatAt",
    "Node.status",
    "Node.version",
    "Node.port",
    "Node.queue",
    "Node.taskCount",
)
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
        "cpuPercent": 0.0,
        "queue": "gpu,slow",
        "status": "UP",
        "taskCount": 1,
        "version": "0.1.0",
    }


def test_an_idle_node_is_shown_with_its_zeros(client: FlaskClient, database: CuttableDatabase) -> None:
    register(database, "default@here", "default")

    [found] = client.get("/nodes").json

    assert (found["taskCount"], found["cpuPercent"]) == (0, 0.0)


def test_without_nodes_the_list_is_empty(client: FlaskClient) -> None:
    answer = client.get("/nodes")

    assert (answer.status_code, answer.json) == (200, [])


@pytest.mark.covers("Queue.name", "Queue.size", "Queue.subscribers", "Queue.unacked")
def test_queues_are_listed_with_their_zeros(client: FlaskClient, database: CuttableDatabase) -> None:
    store_task(database, task_definition(queue="gpu"))

    assert client.get("/queues").json == [
        {"name": "default", "size": 0, "subscribers": 0, "unacked": 0},
        {"name": "gpu", "size": 1, "subscribers": 0, "unacked": 0},
    ]


def register(database: CuttableDatabase, name: str, *queues: str, cpu_percent: float = 0.0) -> None:
    node = Node(name=name, instance=name, hostname="here", pid=1, queues=queues, version="0")
    with database.transaction() as tx:
        nodes.register(tx, node)
        nodes.beat(tx, name=name, instance=name, cpu_percent=cpu_percent)


def test_a_queue_is_shown_by_its_name(client: FlaskClient, database: CuttableDatabase) -> None:
    store_task(database, task_definition(queue="gpu"))
    register(database, "control@here", "control")

    gpu, control = client.get("/queues/gpu"), client.get("/queues/control")

    assert gpu.json == {"name": "gpu", "size": 1, "subscribers": 0, "unacked": 0}
    assert control.json == {"name": "control", "size": 0, "subscribers": 1, "unacked": 0}


@pytest.mark.covers("Ok.status")
def test_a_queue_is_emptied(
    client: FlaskClient, database: CuttableDatabase, dispatcher: FakeDispatcher
) -> None:
    task = store_task(database, task_definition(queue="gpu"))

    answer = client.delete("/queues/gpu")

    assert (answer.status_code, answer.json) == (200, {"status": "OK"})
    assert dispatcher.purged == ["gpu"]
    assert task_now(database, task.id) == task
    dispatcher.away = True
    assert client.delete("/queues/gpu").status_code == 503


def test_the_queues_of_the_system_are_not_emptied(
    client: FlaskClient, database: CuttableDatabase, dispatcher: FakeDispatcher
) -> None:
    register(database, "control@here", "control")

    answer = client.delete("/queues/control")

    assert answer.status_code == 400
    assert answer.json["message"].startswith("name: the system uses the queue 'control' for itself")
    assert dispatcher.purged == []


@pytest.mark.parametrize("name", ["none", "node.x", "%00", "x" * 300])
def test_a_queue_that_there_is_not_is_not_found(client: FlaskClient, name: str) -> None:
    assert client.get(f"/queues/{name}").status_code == 404
    assert client.delete(f"/queues/{name}").status_code == 404


@pytest.fixture
def busy(database: CuttableDatabase) -> None:
    """One job and task that run, one that waits, two nodes."""
    running = store_task(database, state=TaskState.RUNNING, node="default@here")
    store_task(database, task_definition(queue="a-b"))
    with database.transaction() as tx:
        jobs.begin(tx, running.job_id)
    register(database, "default@here", "default", cpu_percent=20.0)
    register(database, "api-3000@here", cpu_percent=30.0)


@pytest.mark.covers("Metrics.jobs", "Metrics.tasks", "Metrics.nodes")
@pytest.mark.usefixtures("busy")
@pytest.mark.parametrize("accept", ["", "*/*", "application/json", "text/html,*/*;q=0.8", "image/png"])
def test_metrics_are_json(client: FlaskClient, accept: str) -> None:
    assert client.get("/metrics", headers={"Accept": accept} if accept else {}).json == {
        "jobs": {"running": 1},
        "tasks": {"running": 1},
        "nodes": {"online": 2, "cpuPercent": 25.0},
    }


PROMETHEUS = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"


@pytest.mark.usefixtures("busy")
@pytest.mark.parametrize("accept", ["text/plain", PROMETHEUS])
def test_metrics_are_text_where_that_is_wanted(client: FlaskClient, accept: str) -> None:
    answer = client.get("/metrics", headers={"Accept": accept})

    assert answer.content_type.startswith(accept.split(";", maxsplit=1)[0])
    values = [line for line in answer.text.splitlines() if not line.startswith("#")]
    assert values == [
        "tork_jobs_running 1.0",
        'tork_tasks_running{queue="a-b"} 0.0',
        'tork_tasks_running{queue="default"} 1.0',
        'tork_tasks_waiting{queue="a-b"} 1.0',
        'tork_tasks_waiting{queue="default"} 0.0',
        "tork_nodes_online 2.0",
        "tork_nodes_cpu_percent 25.0",
    ]
