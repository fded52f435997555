"""Routes of nodes, queues, metrics and health."""

from dataclasses import replace

import pytest
from flask.testing import FlaskClient

from tests.api.documents import document
from tests.domain.samples import task_definition
from tests.services.fakes import FakeDispatcher
from tests.store.stores import FULL, FlakyDatabase, store_task, task_now
from tork_celery.api import create_app
from tork_celery.api.context import ApiContext
from tork_celery.domain.node import Node
from tork_celery.domain.states import TaskState
from tork_celery.services.context import ServiceContext
from tork_celery.store import jobs, nodes


def test_healthy_system_is_up(client: FlaskClient) -> None:
    response = client.get("/health")

    assert (response.status_code, document(response)) == (200, {"status": "UP"})


@pytest.mark.covers("Health.status", "Health.down")
@pytest.mark.parametrize("down", [{"broker"}, {"datastore"}, {"broker", "datastore"}])
def test_health_names_the_parts_that_are_down(
    client: FlaskClient, database: FlakyDatabase, dispatcher: FakeDispatcher, down: set[str]
) -> None:
    dispatcher.away = "broker" in down
    database.down = "datastore" in down

    response = client.get("/health")

    assert response.status_code == 503
    assert document(response)["status"] == "DOWN"
    assert document(response)["down"] == {name: f"the {name} is away" for name in down}


@pytest.mark.parametrize(
    ("down", "ready"), [(set(), 200), ({"broker"}, 200), ({"datastore"}, 503), ({"broker", "datastore"}, 503)]
)
def test_api_is_ready_when_it_accepts_jobs_and_always_live(
    client: FlaskClient, database: FlakyDatabase, dispatcher: FakeDispatcher, down: set[str], ready: int
) -> None:
    dispatcher.away = "broker" in down
    database.down = "datastore" in down

    assert client.get("/health/ready").status_code == ready
    assert (client.get("/health/live").status_code, document(client.get("/health/live"))) == (
        200,
        {"status": "UP"},
    )


def test_datastore_that_cannot_be_written_to_is_down(context: ServiceContext) -> None:
    context = replace(context, write_error=lambda: "attempt to write a readonly database")

    response = create_app(ApiContext(services=context, body_limit_bytes=1)).test_client().get("/health")

    assert response.status_code == 503
    assert document(response)["down"] == {"datastore": "attempt to write a readonly database"}


def test_full_disk_refuses_new_jobs_only(client: FlaskClient, database: FlakyDatabase) -> None:
    running, ended = store_task(database), store_task(database)
    client.put(f"/jobs/{ended.job_id}/cancel")
    database.full = True

    submitted = client.post("/jobs", json={"name": "j", "tasks": [{"name": "t", "image": "i", "run": "r"}]})
    health = client.get("/health")

    assert (submitted.status_code, document(submitted)["message"]) == (503, FULL)
    assert (health.status_code, document(health)["down"]) == (503, {"datastore": FULL})
    assert client.get("/jobs").status_code == 200
    assert client.put(f"/jobs/{running.job_id}/cancel").status_code == 200
    assert client.delete(f"/jobs/{ended.job_id}").status_code == 200


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
def test_nodes_are_listed(client: FlaskClient, database: FlakyDatabase) -> None:
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

    [shown] = document(client.get("/nodes"))

    assert shown.pop("startedAt") == shown.pop("lastHeartbeatAt")
    assert shown == {
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


def test_idle_node_shows_zeros(client: FlaskClient, database: FlakyDatabase) -> None:
    register(database, "default@here", "default")

    [shown] = document(client.get("/nodes"))

    assert (shown["taskCount"], shown["cpuPercent"]) == (0, 0.0)


def test_list_without_nodes_is_empty(client: FlaskClient) -> None:
    response = client.get("/nodes")

    assert (response.status_code, document(response)) == (200, [])


@pytest.mark.covers("Queue.name", "Queue.size", "Queue.subscribers", "Queue.unacked")
def test_queues_are_listed_with_zeros(client: FlaskClient, database: FlakyDatabase) -> None:
    store_task(database, task_definition(queue="gpu"))

    assert document(client.get("/queues")) == [
        {"name": "default", "size": 0, "subscribers": 0, "unacked": 0},
        {"name": "gpu", "size": 1, "subscribers": 0, "unacked": 0},
    ]


def register(database: FlakyDatabase, name: str, *queues: str, cpu_percent: float = 0.0) -> None:
    node = Node(name=name, instance=name, hostname="here", pid=1, queues=queues, version="0")
    with database.transaction() as tx:
        nodes.register(tx, node)
        nodes.record_heartbeat(tx, name=name, instance=name, queues=queues, cpu_percent=cpu_percent)


def test_queue_is_shown(client: FlaskClient, database: FlakyDatabase) -> None:
    store_task(database, task_definition(queue="gpu"))
    register(database, "control@here", "control")

    gpu, control = client.get("/queues/gpu"), client.get("/queues/control")

    assert document(gpu) == {"name": "gpu", "size": 1, "subscribers": 0, "unacked": 0}
    assert document(control) == {"name": "control", "size": 0, "subscribers": 1, "unacked": 0}


@pytest.mark.covers("Ok.status")
def test_queue_is_purged(client: FlaskClient, database: FlakyDatabase, dispatcher: FakeDispatcher) -> None:
    task = store_task(database, task_definition(queue="gpu"))

    response = client.delete("/queues/gpu")

    assert (response.status_code, document(response)) == (200, {"status": "OK"})
    assert dispatcher.purged_queues == ["gpu"]
    assert task_now(database, task.id) == task
    dispatcher.away = True
    assert client.delete("/queues/gpu").status_code == 503


def test_reserved_queue_is_not_purged(
    client: FlaskClient, database: FlakyDatabase, dispatcher: FakeDispatcher
) -> None:
    register(database, "control@here", "control")

    response = client.delete("/queues/control")

    assert response.status_code == 400
    assert document(response)["message"].startswith("name: the system uses the queue 'control' for itself")
    assert dispatcher.purged_queues == []


@pytest.mark.parametrize("name", ["none", "node.x", "%00", "x" * 300])
def test_unknown_queue_is_404(client: FlaskClient, name: str) -> None:
    assert client.get(f"/queues/{name}").status_code == 404
    assert client.delete(f"/queues/{name}").status_code == 404


@pytest.fixture
def load(database: FlakyDatabase) -> None:
    """Store a running job and task, a waiting task, and two nodes."""
    running = store_task(database, state=TaskState.RUNNING, node="default@here")
    store_task(database, task_definition(queue="a-b"))
    with database.transaction() as tx:
        jobs.start(tx, running.job_id)
    register(database, "default@here", "default", cpu_percent=20.0)
    register(database, "api-3000@here", cpu_percent=30.0)


@pytest.mark.covers(
    *("Metrics.jobs", "Metrics.tasks", "Metrics.nodes", "Running.running"),
    *("OnlineNodes.online", "OnlineNodes.cpuPercent"),
)
@pytest.mark.usefixtures("load")
@pytest.mark.parametrize("accept", ["", "*/*", "application/json", "text/html,*/*;q=0.8", "image/png"])
def test_metrics_are_json_by_default(client: FlaskClient, accept: str) -> None:
    assert document(client.get("/metrics", headers={"Accept": accept} if accept else {})) == {
        "jobs": {"running": 1},
        "tasks": {"running": 1},
        "nodes": {"online": 2, "cpuPercent": 25.0},
    }


PROMETHEUS = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"


@pytest.mark.usefixtures("load")
@pytest.mark.parametrize("accept", ["text/plain", PROMETHEUS])
def test_metrics_are_text_when_the_client_prefers_it(client: FlaskClient, accept: str) -> None:
    response = client.get("/metrics", headers={"Accept": accept})

    assert response.content_type.startswith(accept.split(";", maxsplit=1)[0])
    values = [line for line in response.text.splitlines() if not line.startswith("#")]
    assert values == [
        "tork_jobs_running 1.0",
        'tork_tasks_running{queue="a-b"} 0.0',
        'tork_tasks_running{queue="default"} 1.0',
        'tork_tasks_waiting{queue="a-b"} 1.0',
        'tork_tasks_waiting{queue="default"} 0.0',
        "tork_nodes_online 2.0",
        "tork_nodes_cpu_percent 25.0",
    ]
