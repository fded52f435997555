"""What is promised when things are killed, frozen and emptied: every task ends, and each attempt counts once.

`make test` runs this with few tasks and short outages; `make chaos` with many (CHAOS_TASKS) and long ones
(CHAOS_OUTAGE_S).
"""

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any

import docker
import psutil
import pytest
import redis
import requests

from tests.eventually import eventually
from tests.system.installation import LONG_LEASE, Installation, installed
from tests.system.lasting import away, lasting
from tests.system.private_engine import copy_image, may_run, private_engine
from tests.system.visits import Visits, visits

IMAGE = "busybox:stable"
TASKS = int(os.environ.get("CHAOS_TASKS", "40"))
KILL_EVERY_S = 2.0
RERUN_WITHIN_S = 15
ADOPTED_WITHIN_S = 3
STOPPED_WITHIN_S = 1
BEYOND_THE_WORK_S = 30
ANSWERED_WITHIN_S = 5


def test_workers_that_are_killed_again_and_again_lose_nothing(
    engine: docker.DockerClient, tmp_path: Path
) -> None:
    with visits(engine) as seen, installed(tmp_path / "data", "--queue", "other:1") as installation:
        names = ["one@chaos", "two@chaos"]
        workers = {name: installation.worker("default", 3, name=name) for name in names}
        posted = _post(installation, seen, TASKS, work="sleep 1")
        chance = random.Random(7)
        while not _all_ended(installation):
            with lasting(KILL_EVERY_S):
                victim = chance.choice(names)
                workers[victim].send_signal(signal.SIGKILL)
                workers[victim].wait()
                workers[victim] = installation.worker("default", 3, name=victim)
        ended = [installation.get(f"/task/{task_id}") for task_id in posted.values()]
        eventually(lambda: not _left(engine, posted.values()), within_s=60)
    assert {task["state"] for task in ended} == {"COMPLETED"}
    for task in ended:
        assert 1 <= seen.count[task["name"]] <= 1 + task.get("redelivered", 0), task


def test_an_emptied_broker_loses_nothing(engine: docker.DockerClient, tmp_path: Path) -> None:
    with visits(engine) as seen, installed(tmp_path / "data", "--queue", "default:2") as installation:
        posted = _post(installation, seen, TASKS // 2, work="true")
        eventually(lambda: len(seen.count) > 2)
        with redis.Redis(unix_socket_path=str(tmp_path / "data" / "broker.sock")) as broker:
            broker.flushall()
        _all_run_once(installation, seen, posted)


def test_a_broker_that_is_killed_and_whose_files_are_gone_loses_nothing(
    engine: docker.DockerClient, tmp_path: Path
) -> None:
    with visits(engine) as seen, installed(tmp_path / "data", "--queue", "default:2") as installation:
        posted = _post(installation, seen, TASKS // 2, work="true")
        eventually(lambda: len(seen.count) > 2)
        _child(installation, "valkey-server").kill()
        shutil.rmtree(tmp_path / "data" / "broker")
        (tmp_path / "data" / "broker").mkdir()
        _all_run_once(installation, seen, posted)


def test_what_a_frozen_worker_had_runs_elsewhere_and_its_late_result_is_refused(
    engine: docker.DockerClient, tmp_path: Path
) -> None:
    with visits(engine) as seen, installed(tmp_path / "data", "--queue", "other:1") as installation:
        frozen = installation.worker("default", 1, name="frozen@chaos")
        script = f"{seen.script('begun')}; sleep 12; echo -n late"
        task_id = installation.post("/task", {"name": "t", "image": IMAGE, "run": script})["id"]
        eventually(lambda: seen.count["begun"] == 1)
        _freeze(frozen)
        begun = time.monotonic()
        try:
            installation.worker("default", 1, name="healthy@chaos")
            eventually(lambda: seen.count["begun"] == 2, within_s=4 * RERUN_WITHIN_S)
            rerun_s = time.monotonic() - begun
        finally:
            frozen.send_signal(signal.SIGCONT)
        ended = installation.ended_task(task_id, within_s=60)
        assert (ended["nodeId"], ended["redelivered"]) == ("healthy@chaos", 1)
        eventually(lambda: not _left(engine, [task_id]))
    print(f"frozen to run elsewhere: {rerun_s:.1f} s of {RERUN_WITHIN_S} s")
    assert seen.count["begun"] == 2


def test_a_worker_that_starts_again_takes_up_its_step_and_a_cancelled_one_stops(
    engine: docker.DockerClient, tmp_path: Path
) -> None:
    with installed(tmp_path / "data", "--queue", "other:1", environment=LONG_LEASE) as installation:
        worker = installation.worker("default", 1, name="one@chaos")
        script = "i=0; while :; do echo $i; i=$((i + 1)); sleep 0.1; done"
        task_id = installation.post("/task", {"name": "t", "image": IMAGE, "run": script})["id"]
        eventually(lambda: installation.log_of(f"/tasks/{task_id}"))
        worker.kill()
        worker.wait()
        stored = len(installation.log_of(f"/tasks/{task_id}"))
        begun = time.monotonic()
        installation.worker("default", 1, name="one@chaos")
        eventually(lambda: len(installation.log_of(f"/tasks/{task_id}")) > stored)
        adopted_s = time.monotonic() - begun
        begun = time.monotonic()
        assert requests.put(f"{installation.url}/task/{task_id}/cancel", timeout=10).ok
        eventually(lambda: not engine.containers.list(filters={"label": f"tork.task={task_id}"}))
        stopped_s = time.monotonic() - begun
        lines = installation.log_of(f"/tasks/{task_id}").splitlines()
        eventually(lambda: not _left(engine, [task_id]))
    print(f"a worker's start to its step's next output: {adopted_s:.1f} s of {ADOPTED_WITHIN_S} s")
    print(f"cancelled to stopped: {stopped_s:.2f} s of {STOPPED_WITHIN_S} s")
    assert lines == [str(number) for number in range(len(lines))]  # none lost, none twice


def test_a_frozen_broker_hangs_no_request_and_loses_no_job(
    engine: docker.DockerClient, tmp_path: Path
) -> None:
    with visits(engine) as seen, installed(tmp_path / "data", "--queue", "default:2") as installation:
        broker = _child(installation, "valkey-server")
        broker.suspend()
        try:
            begun = time.monotonic()
            posted = _post(installation, seen, 2, work="true")
            posting_s = (time.monotonic() - begun) / 2
            health = requests.get(f"{installation.url}/health", timeout=10)
        finally:
            broker.resume()
        assert health.status_code == HTTPStatus.SERVICE_UNAVAILABLE
        assert "broker" in health.json()["down"]
        _all_run_once(installation, seen, posted)
    print(f"a request with a frozen broker: {posting_s:.1f} s of {ANSWERED_WITHIN_S} s")
    assert posting_s < ANSWERED_WITHIN_S


def test_a_broker_that_is_away_under_load_keeps_nobody_from_posting(
    engine: docker.DockerClient, tmp_path: Path
) -> None:
    with visits(engine) as seen, installed(tmp_path / "data", "--queue", "default:2") as installation:
        before = _post(installation, seen, TASKS // 5, work="sleep 0.5")
        eventually(lambda: len(seen.count) > 2)
        with _broker_away(installation), lasting():
            begun = time.monotonic()
            meanwhile = _post(installation, seen, 3, work="true", prefix="m")
            posting_s = (time.monotonic() - begun) / 3
            health = requests.get(f"{installation.url}/health", timeout=10)
        assert health.status_code == HTTPStatus.SERVICE_UNAVAILABLE
        assert "broker" in health.json()["down"]
        _all_run_once(installation, seen, before | meanwhile)
    print(f"a request without a broker: {posting_s:.1f} s of {ANSWERED_WITHIN_S} s")
    assert posting_s < ANSWERED_WITHIN_S


def test_a_datastore_that_takes_no_writes_under_load_is_waited_for(
    engine: docker.DockerClient, tmp_path: Path
) -> None:
    """SQLite cannot be stopped: it is locked. A server is, in test_servers.py."""
    with visits(engine) as seen, installed(tmp_path / "data", "--queue", "default:2") as installation:
        posted = _post(installation, seen, TASKS // 5, work="sleep 0.5")
        eventually(lambda: len(seen.count) > 2)
        with (
            closing(sqlite3.connect(tmp_path / "data" / "tork.db", isolation_level=None)) as datastore,
            lasting(),
        ):
            datastore.execute("BEGIN IMMEDIATE")
            refused = requests.post(
                f"{installation.url}/task", json={"name": "t", "image": IMAGE}, timeout=20
            )
        assert refused.status_code == HTTPStatus.SERVICE_UNAVAILABLE
        _all_run_once(installation, seen, posted)


@pytest.mark.skipif(not may_run(), reason="needs root, dockerd and ip for an engine of its own")
def test_an_engine_that_is_away_under_load_uses_up_no_attempt(
    engine: docker.DockerClient, tmp_path: Path
) -> None:
    """What it took with it when it stopped, two steps at the most, runs again."""
    with private_engine() as server, closing(docker.DockerClient(base_url=server.url)) as private:
        copy_image(IMAGE, source=engine, target=private)
        environment = {"TORK_DOCKER_URL": server.url}
        with (
            visits(private) as seen,
            installed(tmp_path / "data", "--queue", "default:2", environment=environment) as installation,
        ):
            posted = _post(installation, seen, TASKS // 5, work="sleep 0.5")
            eventually(lambda: len(seen.count) > 2)
            with away(server):
                pass
            _all_completed(installation, posted)  # none may be tried again, so that none has failed
            eventually(lambda: not private.containers.list(all=True))
    assert set(seen.count) == set(posted)
    assert seen.count.total() <= len(posted) + 2


def test_a_message_that_comes_again_while_its_step_runs_does_not_run_it_again(
    engine: docker.DockerClient, tmp_path: Path
) -> None:
    soon = {"TORK_BROKER_VISIBILITY_TIMEOUT": "3s"}
    with (
        visits(engine) as seen,
        installed(tmp_path / "data", "--queue", "default:4", environment=soon) as installation,
    ):
        posted = _post(installation, seen, 3, work="sleep 10")
        _all_run_once(installation, seen, posted)


def _post(
    installation: Installation, seen: Visits, number: int, *, work: str, prefix: str = "t"
) -> dict[str, str]:
    """That many tasks, their ids by their names."""
    posted = {}
    for index in range(number):
        name = f"{prefix}{index}"
        task: dict[str, Any] = {"name": name, "image": IMAGE, "run": f"{seen.script(name)}; {work}"}
        posted[name] = installation.post("/task", task)["id"]
    return posted


def _all_run_once(installation: Installation, seen: Visits, posted: dict[str, str]) -> None:
    _all_completed(installation, posted)
    assert seen.count == dict.fromkeys(posted, 1)


def _all_completed(installation: Installation, posted: dict[str, str]) -> None:
    """Each by its first delivery."""
    within_s = BEYOND_THE_WORK_S + 2 * len(posted)
    ended = [installation.ended_task(task_id, within_s=within_s) for task_id in posted.values()]
    odd = [task for task in ended if task["state"] != "COMPLETED" or "redelivered" in task]
    assert not [(task["name"], task["state"], task.get("error"), task.get("redelivered")) for task in odd]


def _all_ended(installation: Installation) -> bool:
    busy = installation.get("/queues")
    return not any(queue["size"] or queue["unacked"] for queue in busy if queue["name"] == "default")


def _left(engine: docker.DockerClient, task_ids: Any) -> list[str]:
    return [
        f"{container['Names']} {container['State']}"
        for task_id in task_ids
        for container in engine.api.containers(all=True, filters={"label": f"tork.task={task_id}"})
    ]


@contextmanager
def _broker_away(installation: Installation) -> Iterator[None]:
    """The broker is killed, and who would start it again is frozen."""
    assert installation.process is not None
    _freeze(installation.process)
    try:
        _child(installation, "valkey-server").kill()
        yield
    finally:
        installation.process.send_signal(signal.SIGCONT)


def _freeze(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGSTOP)
    eventually(lambda: psutil.Process(process.pid).status() == psutil.STATUS_STOPPED)


def _child(installation: Installation, word: str) -> psutil.Process:
    assert installation.process is not None
    children = psutil.Process(installation.process.pid).children()
    return next(child for child in children if any(word in part for part in child.cmdline()))
