"""Processes are killed and frozen, queues emptied: every task ends, and each attempt counts once.

`make test` runs this with few tasks and short outages; `make chaos` with many (CHAOS_TASKS) and long ones
(CHAOS_OUTAGE_S) and prints how long recovery took.
"""

import os
import random
import shutil
import signal
import sqlite3
import time
from collections.abc import Iterable
from contextlib import closing
from http import HTTPStatus
from pathlib import Path
from typing import Any

import docker
import pytest
import redis
import requests

from tests.eventually import eventually
from tests.system.installation import LONG_LEASE, Installation, running_installation
from tests.system.outages import at_least, broker_down, child, freeze, stopped
from tests.system.private_engine import can_run, copy_image, private_engine
from tests.system.run_counter import RunCounter, counting_runs

IMAGE = "busybox:stable"
TASKS = int(os.environ.get("CHAOS_TASKS", "40"))
KILL_EVERY_S = 2.0
RERUN_WITHIN_S = 15
ALLOWANCE_S = 30
ANSWERED_WITHIN_S = 5


def test_no_task_is_lost_when_workers_are_killed_repeatedly(
    engine: docker.DockerClient, tmp_path: Path
) -> None:
    with (
        counting_runs(engine) as runs,
        running_installation(tmp_path / "data", "--queue", "other:1") as installation,
    ):
        names = ["one@chaos", "two@chaos"]
        workers = {name: installation.start_worker("default", 3, name=name) for name in names}
        posted = _post(installation, runs, TASKS, work="sleep 1")
        rng = random.Random(7)
        while not _all_ended(installation):
            with at_least(KILL_EVERY_S):
                victim = rng.choice(names)
                workers[victim].send_signal(signal.SIGKILL)
                workers[victim].wait()
                workers[victim] = installation.start_worker("default", 3, name=victim)
        ended = [installation.get(f"/task/{task_id}") for task_id in posted.values()]
        eventually(lambda: not _containers(engine, posted.values()), within_s=60)
    assert {task["state"] for task in ended} == {"COMPLETED"}
    for task in ended:
        assert 1 <= runs.counts[task["name"]] <= 1 + task.get("redelivered", 0), task


def test_no_task_is_lost_when_the_broker_is_emptied(engine: docker.DockerClient, tmp_path: Path) -> None:
    with (
        counting_runs(engine) as runs,
        running_installation(tmp_path / "data", "--queue", "default:2") as installation,
    ):
        posted = _post(installation, runs, TASKS // 2, work="true")
        eventually(lambda: len(runs.counts) > 2)
        with redis.Redis(unix_socket_path=str(tmp_path / "data" / "broker.sock")) as broker:
            broker.flushall()
        _assert_all_run_once(installation, runs, posted)


def test_no_task_is_lost_when_the_broker_loses_its_files(engine: docker.DockerClient, tmp_path: Path) -> None:
    with (
        counting_runs(engine) as runs,
        running_installation(tmp_path / "data", "--queue", "default:2") as installation,
    ):
        posted = _post(installation, runs, TASKS // 2, work="true")
        eventually(lambda: len(runs.counts) > 2)
        child(installation, "valkey-server").kill()
        shutil.rmtree(tmp_path / "data" / "broker")
        (tmp_path / "data" / "broker").mkdir()
        _assert_all_run_once(installation, runs, posted)


def test_task_of_a_frozen_worker_is_redelivered_and_its_late_result_rejected(
    engine: docker.DockerClient, tmp_path: Path
) -> None:
    with (
        counting_runs(engine) as runs,
        running_installation(tmp_path / "data", "--queue", "other:1") as installation,
    ):
        frozen = installation.start_worker("default", 1, name="frozen@chaos")
        script = f"{runs.script('started')}; sleep 12; echo -n late"
        task_id = installation.post("/task", {"name": "t", "image": IMAGE, "run": script})["id"]
        eventually(lambda: runs.counts["started"] == 1)
        freeze(frozen)
        started = time.monotonic()
        try:
            installation.start_worker("default", 1, name="healthy@chaos")
            eventually(lambda: runs.counts["started"] == 2, within_s=4 * RERUN_WITHIN_S)
            rerun_s = time.monotonic() - started
        finally:
            frozen.send_signal(signal.SIGCONT)
        ended = installation.wait_for_task(task_id, within_s=60)
        assert (ended["nodeId"], ended["redelivered"]) == ("healthy@chaos", 1)
        eventually(lambda: not _containers(engine, [task_id]))
    print(f"from the freeze to the run on another node: {rerun_s:.1f} s")
    assert runs.counts["started"] == 2


def test_restarted_worker_adopts_its_step_which_can_be_cancelled(
    engine: docker.DockerClient, tmp_path: Path
) -> None:
    with running_installation(
        tmp_path / "data", "--queue", "other:1", environment=LONG_LEASE
    ) as installation:
        worker = installation.start_worker("default", 1, name="one@chaos")
        script = "i=0; while :; do echo $i; i=$((i + 1)); sleep 0.1; done"
        task_id = installation.post("/task", {"name": "t", "image": IMAGE, "run": script})["id"]
        eventually(lambda: installation.read_output(f"/tasks/{task_id}"))
        worker.kill()
        worker.wait()
        stored = len(installation.read_output(f"/tasks/{task_id}"))
        started = time.monotonic()
        installation.start_worker("default", 1, name="one@chaos")
        eventually(lambda: len(installation.read_output(f"/tasks/{task_id}")) > stored)
        adopted_s = time.monotonic() - started
        started = time.monotonic()
        assert requests.put(f"{installation.url}/task/{task_id}/cancel", timeout=10).ok
        eventually(lambda: not engine.containers.list(filters={"label": f"tork.task={task_id}"}))
        stopped_s = time.monotonic() - started
        lines = installation.read_output(f"/tasks/{task_id}").splitlines()
        eventually(lambda: not _containers(engine, [task_id]))
    print(f"from the worker's start to the next output of its step: {adopted_s:.1f} s")
    print(f"from the cancel to the end of the container: {stopped_s:.2f} s")
    assert lines == [str(number) for number in range(len(lines))]  # none lost, none duplicated


def test_jobs_are_accepted_while_the_broker_is_frozen(engine: docker.DockerClient, tmp_path: Path) -> None:
    with (
        counting_runs(engine) as runs,
        running_installation(tmp_path / "data", "--queue", "default:2") as installation,
    ):
        broker = child(installation, "valkey-server")
        broker.suspend()
        try:
            started = time.monotonic()
            posted = _post(installation, runs, 2, work="true")
            posting_s = (time.monotonic() - started) / 2
            eventually(lambda: _broker_is_down(installation))
        finally:
            broker.resume()
        _assert_all_run_once(installation, runs, posted)
    print(f"a request with a frozen broker: {posting_s:.1f} s of {ANSWERED_WITHIN_S} s")
    assert posting_s < ANSWERED_WITHIN_S


def test_jobs_are_accepted_under_load_while_the_broker_is_down(
    engine: docker.DockerClient, tmp_path: Path
) -> None:
    with (
        counting_runs(engine) as runs,
        running_installation(tmp_path / "data", "--queue", "default:2") as installation,
    ):
        before = _post(installation, runs, TASKS // 5, work="sleep 0.5")
        eventually(lambda: len(runs.counts) > 2)
        with broker_down(installation), at_least():
            started = time.monotonic()
            during_outage = _post(installation, runs, 3, work="true", prefix="m")
            posting_s = (time.monotonic() - started) / 3
            eventually(lambda: _broker_is_down(installation))
        _assert_all_run_once(installation, runs, before | during_outage)
    print(f"a request without a broker: {posting_s:.1f} s of {ANSWERED_WITHIN_S} s")
    assert posting_s < ANSWERED_WITHIN_S


def test_tasks_complete_after_an_outage_of_datastore_writes_under_load(
    engine: docker.DockerClient, tmp_path: Path
) -> None:
    """SQLite is locked here, since it has no server; test_servers.py stops a PostgreSQL server."""
    with (
        counting_runs(engine) as runs,
        running_installation(tmp_path / "data", "--queue", "default:2") as installation,
    ):
        posted = _post(installation, runs, TASKS // 5, work="sleep 0.5")
        eventually(lambda: len(runs.counts) > 2)
        with (
            closing(sqlite3.connect(tmp_path / "data" / "tork.db", isolation_level=None)) as datastore,
            at_least(),
        ):
            datastore.execute("BEGIN IMMEDIATE")
            rejected = requests.post(
                f"{installation.url}/task", json={"name": "t", "image": IMAGE}, timeout=20
            )
        assert rejected.status_code == HTTPStatus.SERVICE_UNAVAILABLE
        _assert_all_run_once(installation, runs, posted)


@pytest.mark.skipif(not can_run(), reason="needs root, dockerd and ip for an engine of its own")
def test_engine_outage_under_load_uses_up_no_attempt(engine: docker.DockerClient, tmp_path: Path) -> None:
    """The steps that ran when the engine stopped, two at most, run again."""
    with private_engine() as server, closing(docker.DockerClient(base_url=server.url)) as private:
        copy_image(IMAGE, source=engine, target=private)
        environment = {"TORK_DOCKER_URL": server.url}
        with (
            counting_runs(private) as runs,
            running_installation(
                tmp_path / "data", "--queue", "default:2", environment=environment
            ) as installation,
        ):
            posted = _post(installation, runs, TASKS // 5, work="sleep 0.5")
            eventually(lambda: len(runs.counts) > 2)
            with stopped(server):
                pass
            _assert_all_completed(installation, posted)  # without retries: no attempt has failed
            eventually(lambda: not private.containers.list(all=True, filters={"label": "tork.task"}))
    assert set(runs.counts) == set(posted)
    assert runs.counts.total() <= len(posted) + 2


def test_redelivered_message_does_not_run_a_running_step_again(
    engine: docker.DockerClient, tmp_path: Path
) -> None:
    environment = {"TORK_BROKER_VISIBILITY_TIMEOUT": "3s"}
    with (
        counting_runs(engine) as runs,
        running_installation(
            tmp_path / "data", "--queue", "default:4", environment=environment
        ) as installation,
    ):
        posted = _post(installation, runs, 3, work="sleep 10")
        _assert_all_run_once(installation, runs, posted)


def _broker_is_down(installation: Installation) -> bool:
    """Return whether the health says so. It shares a check that is up to a second old."""
    health = requests.get(f"{installation.url}/health", timeout=10)
    return health.status_code == HTTPStatus.SERVICE_UNAVAILABLE and "broker" in health.json()["down"]


def _post(
    installation: Installation, runs: RunCounter, number: int, *, work: str, prefix: str = "t"
) -> dict[str, str]:
    """Submit `number` tasks that do `work`; return their ids by name."""
    posted = {}
    for index in range(number):
        name = f"{prefix}{index}"
        task: dict[str, Any] = {"name": name, "image": IMAGE, "run": f"{runs.script(name)}; {work}"}
        posted[name] = installation.post("/task", task)["id"]
    return posted


def _assert_all_run_once(installation: Installation, runs: RunCounter, posted: dict[str, str]) -> None:
    _assert_all_completed(installation, posted)
    assert runs.counts == dict.fromkeys(posted, 1)


def _assert_all_completed(installation: Installation, posted: dict[str, str]) -> None:
    """Wait for the tasks; assert that each completed in its first delivery."""
    within_s = ALLOWANCE_S + 2 * len(posted)
    ended = [installation.wait_for_task(task_id, within_s=within_s) for task_id in posted.values()]
    unexpected = [task for task in ended if task["state"] != "COMPLETED" or "redelivered" in task]
    assert not [
        (task["name"], task["state"], task.get("error"), task.get("redelivered")) for task in unexpected
    ]


def _all_ended(installation: Installation) -> bool:
    queues = installation.get("/queues")
    return not any(queue["size"] or queue["unacked"] for queue in queues if queue["name"] == "default")


def _containers(engine: docker.DockerClient, task_ids: Iterable[str]) -> list[str]:
    return [
        f"{container['Names']} {container['State']}"
        for task_id in task_ids
        for container in engine.api.containers(all=True, filters={"label": f"tork.task={task_id}"})
    ]
