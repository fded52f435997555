"""The same system on real servers, which it is told of by their URLs alone."""

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
from tests.system.installation import Installation, installed
from tests.system.lasting import away
from tests.system.pairs import PAIRS, SHORT_CONSUMER_TIMEOUT_S, Pair
from tests.system.visits import visits

pytestmark = pytest.mark.servers

IMAGE = "busybox:stable"
QUEUES = ["default", "other", "single"]
TASKS = 20
TOLD_WITHIN_S = 1.0
TRIVIAL = {"name": "t", "image": IMAGE, "run": "true"}
JOBS = 6
TASKS_OF_A_JOB = 4
SLOW = {"name": "slow", "image": IMAGE, "run": "for i in $(seq 1 4); do echo line $i; sleep 1; done"}
ALL_LINES = "".join(f"line {number}\n" for number in range(1, 5))


@dataclass(frozen=True, slots=True)
class System:
    pair: Pair
    installation: Installation


@pytest.fixture(scope="module", params=PAIRS)
def system(
    request: pytest.FixtureRequest, engine: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[System]:
    del engine  # it is there, and watched
    served = ["--queue", "default:2", "--queue", "other:2", "--queue", "single:1"]
    with (
        PAIRS[request.param]() as pair,
        installed(
            tmp_path_factory.mktemp("tork") / "data", *served, environment=pair.environment
        ) as installation,
    ):
        yield System(pair, installation)
        if pair.broker.url.startswith("amqp:"):
            assert "inequivalent arg" not in pair.broker.log  # every process declares queues alike


def step(text: str) -> dict[str, Any]:
    return {"image": IMAGE, "run": f"echo {text}"}


def test_a_task_runs_through_its_steps(system: System) -> None:
    task = {"name": "t", **step("main"), "pre": [step("pre")], "post": [step("post")]}
    ended = system.installation.run_task(task)
    assert (ended["state"], ended["result"]) == ("COMPLETED", "main\n")
    assert system.installation.log_of(f"/tasks/{ended['id']}") == "pre\nmain\npost\n"


def test_every_task_of_two_queues_runs_once(system: System, engine: docker.DockerClient) -> None:
    with visits(engine) as seen:
        posted = _post_many(system, seen.script)
        _all_complete(system, posted)
    assert seen.count == Counter(posted.keys())


def test_a_broker_that_is_emptied_loses_nothing(system: System, engine: docker.DockerClient) -> None:
    with visits(engine) as seen:
        posted = _post_many(system, seen.script)
        eventually(lambda: len(seen.count) > 2)
        own = [
            f"node.{node['name']}"
            for node in system.installation.get("/nodes")
            if node.get("queue") in QUEUES
        ]
        assert len(own) == len(QUEUES)
        system.pair.empty_broker(["control", *QUEUES, *own])
        _all_complete(system, posted)
    assert seen.count == Counter(posted.keys())


def test_tasks_of_higher_priority_go_first(system: System) -> None:
    installation = system.installation
    blocker = installation.post("/task", {"name": "b", "queue": "single", "image": IMAGE, "run": "sleep 3"})
    task = {"name": "p", "queue": "single", "image": IMAGE, "run": "true"}
    posted = {
        priority: installation.post("/task", {**task, "priority": priority})["id"]
        for priority in (0, 4, 9, 5)
    }
    installation.ended_task(blocker["id"])
    begun = {priority: installation.ended_task(task_id)["startedAt"] for priority, task_id in posted.items()}
    assert sorted(begun, key=lambda priority: begun[priority]) == [9, 5, 4, 0]


def test_a_cancelled_task_stops(system: System, engine: docker.DockerClient) -> None:
    task_id = system.installation.post("/task", {"name": "c", "image": IMAGE, "run": "sleep 60"})["id"]
    eventually(lambda: _containers(engine, task_id) == ["running"])
    answer = requests.put(f"{system.installation.url}/task/{task_id}/cancel", timeout=10)
    assert answer.ok, answer.text
    eventually(lambda: not _containers(engine, task_id), within_s=10)
    assert system.installation.get(f"/task/{task_id}")["state"] == "CANCELLED"


def test_a_queue_that_nobody_has_served_yet_is_shown(system: System) -> None:
    rare = system.installation.post("/task", {"name": "r", "queue": "rare", **step("rare")})
    shown = {"name": "rare", "size": 1, "subscribers": 0, "unacked": 0}
    eventually(lambda: shown in system.installation.get("/queues"))
    system.installation.worker("rare", 1, name="rare@late")
    assert system.installation.ended_task(rare["id"])["nodeId"] == "rare@late"


def test_a_killed_system_takes_up_its_task_when_it_starts_again(
    system: System, engine: docker.DockerClient
) -> None:
    installation = system.installation
    task_id = installation.post("/task", SLOW)["id"]
    eventually(lambda: "line 2" in installation.log_of(f"/tasks/{task_id}"))
    installation.kill()
    installation.start()
    ended = installation.ended_task(task_id)
    assert ended["state"] == "COMPLETED", ended
    assert installation.log_of(f"/tasks/{task_id}") == ALL_LINES  # no line lost, none twice
    assert ended["result"] == ALL_LINES
    assert "redelivered" not in ended
    eventually(lambda: not _containers(engine, task_id))


def test_a_datastore_that_restarts_is_waited_for(system: System, engine: docker.DockerClient) -> None:
    """Meanwhile clients are told, and no attempt is used up."""
    with visits(engine) as seen:
        script = f"sleep 2; {seen.script('t')}; echo done"
        task_id = system.installation.post("/task", {"name": "t", "image": IMAGE, "run": script})["id"]
        eventually(lambda: _containers(engine, task_id) == ["running"])
        system.pair.datastore.stop()
        try:
            answer = requests.get(f"{system.installation.url}/task/{task_id}", timeout=10)
            assert answer.status_code == 503
            eventually(lambda: seen.count["t"] == 1)
        finally:
            system.pair.datastore.start()
        ended = eventually(lambda: _ended(system, task_id))
    assert (ended["state"], ended["result"]) == ("COMPLETED", "done\n")
    assert "redelivered" not in ended
    assert seen.count["t"] == 1


def test_a_datastore_that_is_away_under_load_is_waited_for(
    system: System, engine: docker.DockerClient
) -> None:
    """Clients are told at once, no attempt is used up, and nothing runs twice because leases ran out."""
    with visits(engine) as seen:
        posted = _post_many(system, lambda name: f"{seen.script(name)}; sleep 1")
        eventually(lambda: len(seen.count) > 2)
        with away(system.pair.datastore):
            begun = time.monotonic()
            told = [_asked(system, "GET", "/jobs"), _asked(system, "POST", "/task", json=TRIVIAL)]
            told_within_s = time.monotonic() - begun
        eventually(lambda: _asked(system, "GET", "/health").ok)
        _all_complete(system, posted)
    assert [answer.status_code for answer in told] == [503, 503]
    print(f"two requests without a datastore: {told_within_s:.2f} s of {TOLD_WITHIN_S:g} s")
    assert told_within_s < TOLD_WITHIN_S
    assert seen.count == Counter(posted.keys())


def test_a_broker_that_is_away_under_load_keeps_nobody_from_posting(
    system: System, engine: docker.DockerClient
) -> None:
    with visits(engine) as seen:
        posted = _post_many(system, lambda name: f"{seen.script(name)}; sleep 1")
        eventually(lambda: len(seen.count) > 2)
        with away(system.pair.broker):
            stored = _asked(system, "POST", "/task", json=TRIVIAL)
            health = _asked(system, "GET", "/health")
        _all_complete(system, posted)
        assert system.installation.ended_task(stored.json()["id"])["state"] == "COMPLETED"
    assert (stored.status_code, health.status_code) == (200, 503)
    assert "broker" in health.json()["down"]
    assert seen.count == Counter(posted.keys())


def test_a_datastore_that_restarts_under_three_coordinators(
    system: System, engine: docker.DockerClient
) -> None:
    """Nothing is lost, and nothing doubled."""
    installation = system.installation
    beside = ["second@more", "third@more", "worker@more"]
    try:
        for name in beside[:2]:
            installation.worker("control", 2, name=name)
        installation.worker("default", 2, name=beside[2])
        eventually(lambda: set(beside) <= _nodes_up(system), within_s=60)
        with visits(engine) as seen:
            posted = [_post_job(system, f"j{number}", seen.script) for number in range(JOBS)]
            eventually(lambda: len(seen.count) > JOBS)
            system.pair.datastore.stop()
            system.pair.datastore.start()
            eventually(lambda: requests.get(f"{installation.url}/health", timeout=10).ok)
            ended = [installation.ended_job(job_id, within_s=120) for job_id in posted]
    finally:
        installation.dismiss_workers()
    assert Counter(job["state"] for job in ended) == {"COMPLETED": JOBS}
    runs = [task for job in ended for task in job["execution"]]
    assert Counter(task["name"] for task in runs) == seen.count == dict.fromkeys(seen.count, 1)
    assert len(runs) == JOBS * TASKS_OF_A_JOB
    assert not [task for task in runs if "redelivered" in task]


@pytest.mark.parametrize("system", ["rabbitmq+postgresql"], indirect=True)
def test_a_task_that_outlives_the_consumer_timeout_runs_once(
    system: System, engine: docker.DockerClient
) -> None:
    """RabbitMQ closes the channel of its message, and delivers that again."""
    with visits(engine) as seen:
        script = f"{seen.script('begun')}; sleep {SHORT_CONSUMER_TIMEOUT_S + 6}; echo done"
        ended = system.installation.run_task({"name": "t", "image": IMAGE, "run": script})
        assert (ended["state"], ended["result"]) == ("COMPLETED", "done\n")
    assert "Timeout value used: 20000 ms" in system.pair.broker.log
    assert seen.count["begun"] == 1
    assert system.installation.run_task({"name": "next", **step("well")})["result"] == "well\n"


def _post_many(system: System, script: Any) -> dict[str, str]:
    """The ids of the tasks by their names."""
    return {
        name: system.installation.post(
            "/task", {"name": name, "queue": queue, "image": IMAGE, "run": script(name)}
        )["id"]
        for name, queue in zip((f"t{number}" for number in range(TASKS)), cycle(QUEUES[:2]), strict=False)
    }


def _post_job(system: System, name: str, script: Any) -> str:
    """The id of a job whose tasks run one after another."""
    names = [f"{name}-{number}" for number in range(TASKS_OF_A_JOB)]
    tasks = [{"name": name, "image": IMAGE, "run": f"{script(name)}; sleep 0.5"} for name in names]
    return str(system.installation.post("/jobs", {"name": name, "tasks": tasks})["id"])


def _nodes_up(system: System) -> set[str]:
    return {node["name"] for node in system.installation.get("/nodes") if node["status"] == "UP"}


def _asked(system: System, method: str, route: str, **more: Any) -> requests.Response:
    return requests.request(method, system.installation.url + route, timeout=10, **more)


def _all_complete(system: System, posted: dict[str, str]) -> None:
    ended = [system.installation.ended_task(task_id) for task_id in posted.values()]
    assert Counter(task["state"] for task in ended) == {"COMPLETED": TASKS}
    assert not [task for task in ended if "redelivered" in task]


def _ended(system: System, task_id: str) -> dict[str, Any] | None:
    answer = requests.get(f"{system.installation.url}/task/{task_id}", timeout=10)
    found = dict(answer.json()) if answer.ok else {}
    return found if found.get("state") in ("COMPLETED", "FAILED") else None


def _containers(engine: docker.DockerClient, task_id: str) -> list[str]:
    return [
        found["State"] for found in engine.api.containers(all=True, filters={"label": f"tork.task={task_id}"})
    ]
