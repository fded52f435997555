"""The whole system on Redis or RabbitMQ with PostgreSQL."""

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle
from typing import Any

import docker
import pytest
import requests

from tests.eventually import eventually
from tests.system.installation import Installation, running_installation
from tests.system.outages import stopped
from tests.system.run_counter import counting_runs
from tests.system.server_pairs import PAIRS, SHORT_CONSUMER_TIMEOUT_S, ServerPair

pytestmark = pytest.mark.servers

IMAGE = "busybox:stable"
QUEUES = ["default", "other", "single"]
TASKS = 20
ANSWERED_WITHIN_S = 1.0
TRIVIAL = {"name": "t", "image": IMAGE, "run": "true"}
JOBS = 6
TASKS_OF_A_JOB = 4
SLOW = {"name": "slow", "image": IMAGE, "run": "for i in $(seq 1 4); do echo line $i; sleep 1; done"}
ALL_LINES = "".join(f"line {number}\n" for number in range(1, 5))


@dataclass(frozen=True, slots=True)
class System:
    """An installation and its servers."""

    servers: ServerPair
    installation: Installation


@pytest.fixture(scope="module", params=PAIRS)
def system(
    request: pytest.FixtureRequest, engine: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[System]:
    del engine  # only started
    queues = ["--queue", "default:2", "--queue", "other:2", "--queue", "single:1"]
    with (
        PAIRS[request.param]() as servers,
        running_installation(
            tmp_path_factory.mktemp("tork") / "data", *queues, environment=servers.environment
        ) as installation,
    ):
        yield System(servers, installation)
        if servers.broker.url.startswith("amqp:"):
            assert "inequivalent arg" not in servers.broker.log  # all processes declare equal queues


def step(text: str) -> dict[str, Any]:
    return {"image": IMAGE, "run": f"echo {text}"}


def test_steps_of_a_task_run_in_order(system: System) -> None:
    task = {"name": "t", **step("main"), "pre": [step("pre")], "post": [step("post")]}
    ended = system.installation.run_task(task)
    assert (ended["state"], ended["result"]) == ("COMPLETED", "main\n")
    assert system.installation.read_log(f"/tasks/{ended['id']}") == "pre\nmain\npost\n"


def test_each_task_of_two_queues_runs_once(system: System, engine: docker.DockerClient) -> None:
    with counting_runs(engine) as runs:
        posted = _post_many(system, runs.script)
        _assert_all_complete(system, posted)
    assert runs.counts == Counter(posted.keys())


def test_no_task_is_lost_when_the_broker_is_emptied(system: System, engine: docker.DockerClient) -> None:
    with counting_runs(engine) as runs:
        posted = _post_many(system, runs.script)
        eventually(lambda: len(runs.counts) > 2)
        node_queues = [
            f"node.{node['name']}"
            for node in system.installation.get("/nodes")
            if node.get("queue") in QUEUES
        ]
        assert len(node_queues) == len(QUEUES)
        system.servers.empty_broker(["control", *QUEUES, *node_queues])
        _assert_all_complete(system, posted)
    assert runs.counts == Counter(posted.keys())


def test_waiting_tasks_start_by_priority(system: System) -> None:
    installation = system.installation
    blocker = installation.post("/task", {"name": "b", "queue": "single", "image": IMAGE, "run": "sleep 3"})
    task = {"name": "p", "queue": "single", "image": IMAGE, "run": "true"}
    posted = {
        priority: installation.post("/task", {**task, "priority": priority})["id"]
        for priority in (0, 4, 9, 5)
    }
    installation.wait_for_task(blocker["id"])
    starts = {
        priority: installation.wait_for_task(task_id)["startedAt"] for priority, task_id in posted.items()
    }
    assert sorted(starts, key=lambda priority: starts[priority]) == [9, 5, 4, 0]


def test_cancel_kills_the_container(system: System, engine: docker.DockerClient) -> None:
    task_id = system.installation.post("/task", {"name": "c", "image": IMAGE, "run": "sleep 60"})["id"]
    eventually(lambda: _containers(engine, task_id) == ["running"])
    response = requests.put(f"{system.installation.url}/task/{task_id}/cancel", timeout=10)
    assert response.ok, response.text
    eventually(lambda: not _containers(engine, task_id), within_s=10)
    assert system.installation.get(f"/task/{task_id}")["state"] == "CANCELLED"


def test_queue_without_workers_is_listed_and_served_later(system: System) -> None:
    rare = system.installation.post("/task", {"name": "r", "queue": "rare", **step("rare")})
    shown = {"name": "rare", "size": 1, "subscribers": 0, "unacked": 0}
    eventually(lambda: shown in system.installation.get("/queues"))
    system.installation.start_worker("rare", 1, name="rare@late")
    assert system.installation.wait_for_task(rare["id"])["nodeId"] == "rare@late"


def test_killed_system_adopts_its_container_at_the_next_start(
    system: System, engine: docker.DockerClient
) -> None:
    installation = system.installation
    task_id = installation.post("/task", SLOW)["id"]
    eventually(lambda: "line 2" in installation.read_log(f"/tasks/{task_id}"))
    installation.kill()
    installation.start()
    ended = installation.wait_for_task(task_id)
    assert ended["state"] == "COMPLETED", ended
    assert installation.read_output(f"/tasks/{task_id}") == ALL_LINES  # no line lost, none duplicated
    assert ended["result"] == ALL_LINES
    assert "redelivered" not in ended
    eventually(lambda: not _containers(engine, task_id))


def test_task_survives_a_restart_of_the_datastore(system: System, engine: docker.DockerClient) -> None:
    """Requests are answered with 503 meanwhile, and no attempt is used up."""
    with counting_runs(engine) as runs:
        script = f"sleep 2; {runs.script('t')}; echo done"
        task_id = system.installation.post("/task", {"name": "t", "image": IMAGE, "run": script})["id"]
        eventually(lambda: _containers(engine, task_id) == ["running"])
        system.servers.datastore.stop()
        try:
            response = requests.get(f"{system.installation.url}/task/{task_id}", timeout=10)
            assert response.status_code == 503
            eventually(lambda: runs.counts["t"] == 1)
        finally:
            system.servers.datastore.start()
        ended = eventually(lambda: _ended(system, task_id))
    assert (ended["state"], ended["result"]) == ("COMPLETED", "done\n")
    assert "redelivered" not in ended
    assert runs.counts["t"] == 1


def test_tasks_survive_a_datastore_outage_under_load(system: System, engine: docker.DockerClient) -> None:
    """Requests are answered with 503 at once. No attempt is used up, and no step runs twice."""
    with counting_runs(engine) as runs:
        posted = _post_many(system, lambda name: f"{runs.script(name)}; sleep 1")
        eventually(lambda: len(runs.counts) > 2)
        with stopped(system.servers.datastore):
            started = time.monotonic()
            responses = [_request(system, "GET", "/jobs"), _request(system, "POST", "/task", json=TRIVIAL)]
            elapsed_s = time.monotonic() - started
        eventually(lambda: _request(system, "GET", "/health").ok)
        _assert_all_complete(system, posted)
    assert [response.status_code for response in responses] == [503, 503]
    print(f"two requests without a datastore: {elapsed_s:.2f} s of {ANSWERED_WITHIN_S:g} s")
    assert elapsed_s < ANSWERED_WITHIN_S
    assert runs.counts == Counter(posted.keys())


def test_tasks_are_accepted_under_load_while_the_broker_is_down(
    system: System, engine: docker.DockerClient
) -> None:
    with counting_runs(engine) as runs:
        posted = _post_many(system, lambda name: f"{runs.script(name)}; sleep 1")
        eventually(lambda: len(runs.counts) > 2)
        with stopped(system.servers.broker):
            submitted = _request(system, "POST", "/task", json=TRIVIAL)
            eventually(lambda: _request(system, "GET", "/health").status_code == 503)
            health = _request(system, "GET", "/health")
        _assert_all_complete(system, posted)
        assert system.installation.wait_for_task(submitted.json()["id"])["state"] == "COMPLETED"
    assert submitted.status_code == 200
    assert "broker" in health.json()["down"]
    assert runs.counts == Counter(posted.keys())


def test_jobs_of_three_coordinators_survive_a_datastore_restart(
    system: System, engine: docker.DockerClient
) -> None:
    """Each task runs once."""
    installation = system.installation
    names = ["second@more", "third@more", "worker@more"]
    try:
        for name in names[:2]:
            installation.start_worker("control", 2, name=name)
        installation.start_worker("default", 2, name=names[2])
        eventually(lambda: set(names) <= _nodes_up(system), within_s=60)
        with counting_runs(engine) as runs:
            posted = [_post_job(system, f"j{number}", runs.script) for number in range(JOBS)]
            eventually(lambda: len(runs.counts) > JOBS)
            system.servers.datastore.stop()
            system.servers.datastore.start()
            eventually(lambda: requests.get(f"{installation.url}/health", timeout=10).ok)
            ended = [installation.wait_for_job(job_id, within_s=120) for job_id in posted]
    finally:
        installation.stop_workers()
    assert Counter(job["state"] for job in ended) == {"COMPLETED": JOBS}
    tasks = [task for job in ended for task in job["execution"]]
    assert Counter(task["name"] for task in tasks) == runs.counts == dict.fromkeys(runs.counts, 1)
    assert len(tasks) == JOBS * TASKS_OF_A_JOB
    assert not [task for task in tasks if "redelivered" in task]


@pytest.mark.parametrize("system", ["rabbitmq+postgresql"], indirect=True)
def test_task_that_exceeds_the_consumer_timeout_runs_once(
    system: System, engine: docker.DockerClient
) -> None:
    """RabbitMQ closes the channel of its message and redelivers the message."""
    with counting_runs(engine) as runs:
        script = f"{runs.script('started')}; sleep {SHORT_CONSUMER_TIMEOUT_S + 6}; echo done"
        ended = system.installation.run_task({"name": "t", "image": IMAGE, "run": script})
        assert (ended["state"], ended["result"]) == ("COMPLETED", "done\n")
    assert "Timeout value used: 20000 ms" in system.servers.broker.log
    assert runs.counts["started"] == 1
    assert system.installation.run_task({"name": "next", **step("well")})["result"] == "well\n"


def _post_many(system: System, script: Any) -> dict[str, str]:
    """Submit tasks to two queues; return their ids by name."""
    return {
        name: system.installation.post(
            "/task", {"name": name, "queue": queue, "image": IMAGE, "run": script(name)}
        )["id"]
        for name, queue in zip((f"t{number}" for number in range(TASKS)), cycle(QUEUES[:2]), strict=False)
    }


def _post_job(system: System, name: str, script: Any) -> str:
    """Submit a job whose tasks run one after another; return its id."""
    names = [f"{name}-{number}" for number in range(TASKS_OF_A_JOB)]
    tasks = [{"name": name, "image": IMAGE, "run": f"{script(name)}; sleep 0.5"} for name in names]
    return str(system.installation.post("/jobs", {"name": name, "tasks": tasks})["id"])


def _nodes_up(system: System) -> set[str]:
    return {node["name"] for node in system.installation.get("/nodes") if node["status"] == "UP"}


def _request(system: System, method: str, route: str, **options: Any) -> requests.Response:
    return requests.request(method, system.installation.url + route, timeout=10, **options)


def _assert_all_complete(system: System, posted: dict[str, str]) -> None:
    ended = [system.installation.wait_for_task(task_id) for task_id in posted.values()]
    assert Counter(task["state"] for task in ended) == {"COMPLETED": TASKS}
    assert not [task for task in ended if "redelivered" in task]


def _ended(system: System, task_id: str) -> dict[str, Any] | None:
    response = requests.get(f"{system.installation.url}/task/{task_id}", timeout=10)
    task = dict(response.json()) if response.ok else {}
    return task if task.get("state") in ("COMPLETED", "FAILED") else None


def _containers(engine: docker.DockerClient, task_id: str) -> list[str]:
    return [
        container["State"]
        for container in engine.api.containers(all=True, filters={"label": f"tork.task={task_id}"})
    ]
