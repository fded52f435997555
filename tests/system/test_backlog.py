"""A long backlog: the broker holds a few of its messages, and priority holds over all of it.

`make test` runs this with 5,000 waiting tasks and 200 requests; `make chaos` with 100,000 and 1,000.
"""

import os
import random
import signal
import statistics
import time
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path

import docker
import redis
import requests

from tests.eventually import eventually
from tests.system.backlog import BACKLOG, count_messages, store_backlog
from tests.system.installation import Installation, running_installation
from tests.system.outages import broker_down
from tests.system.run_counter import RunCounter, counting_runs
from tork_celery.store.publishing_window import SMALLEST_WINDOW

IMAGE = "busybox:stable"
SHELL = {"TORK_RUNTIME": "shell", "TORK_SHELL_ALLOW_ROOT": "true"}
REQUESTS = int(os.environ.get("CHAOS_REQUESTS", "200"))
UNSERVED = 50_000
STARTS_WITHIN_S = 2.0
ANSWERED_WITHIN_S = 1.0
TASK_S = 2.0
COUNTED_TASKS = 6


def test_queue_that_nobody_serves_holds_few_messages_and_starts_at_once(tmp_path: Path) -> None:
    with running_installation(tmp_path / "data", "--queue", "default:1", environment=SHELL) as installation:
        first = store_backlog(installation, {"name": "t", "queue": "rare", "run": "true"}, number=UNSERVED)
        eventually(lambda: count_messages(installation, "rare") == SMALLEST_WINDOW)
        assert _size(installation, "rare") == UNSERVED + 1

        installation.start_worker("rare", 4, name="rare@late")
        started = _time(eventually(lambda: installation.get(f"/task/{first}").get("startedAt"), within_s=60))
        [node] = [node for node in installation.get("/nodes") if node["name"] == "rare@late"]
        waited_s = started - _time(node["startedAt"])
        eventually(lambda: _size(installation, "rare") < UNSERVED - 20, within_s=60)
        messages = count_messages(installation, "rare")
    print(f"from the worker's start to its first task: {waited_s:.2f} s; {messages} messages")
    assert waited_s <= STARTS_WITHIN_S
    assert messages <= SMALLEST_WINDOW


def test_requests_do_not_wait_for_a_broker_that_is_away(tmp_path: Path) -> None:
    with running_installation(tmp_path / "data", "--queue", "default:4", environment=SHELL) as installation:
        before_s = [_post(installation)[1] for _ in range(REQUESTS // 10)]
        with broker_down(installation):
            posted = [_post(installation) for _ in range(REQUESTS)]
        eventually(lambda: _size(installation, "default") == 0, within_s=60 + REQUESTS)
        ended = [installation.wait_for_task(task_id) for task_id, _ in posted]
    during_s = [duration_s for _, duration_s in posted]
    print(
        f"a request with a broker: {1000 * statistics.median(before_s):.1f} ms, without one: "
        f"{1000 * statistics.median(during_s):.1f} ms, the slowest {1000 * max(during_s):.0f} ms"
    )
    assert {task["state"] for task in ended} == {"COMPLETED"}
    assert max(during_s) < ANSWERED_WITHIN_S


def test_priority_holds_over_a_long_backlog_while_workers_and_messages_are_lost(
    engine: docker.DockerClient, tmp_path: Path
) -> None:
    waiting = {"name": "waiting", "image": IMAGE, "run": f"sleep {TASK_S}"}
    with (
        counting_runs(engine) as runs,
        running_installation(tmp_path / "data", "--queue", "other:1") as installation,
    ):
        store_backlog(installation, waiting)
        worker = installation.start_worker("default", 2, name="one@backlog")
        eventually(lambda: _running(installation) == 2, within_s=60)
        urgent = installation.post("/task", {**waiting, "name": "urgent", "priority": 9})["id"]
        started = eventually(lambda: installation.get(f"/task/{urgent}").get("startedAt"), within_s=60)
        waited_s = _time(started) - _time(installation.get(f"/task/{urgent}")["createdAt"])

        posted = [_post_counted(installation, runs, number) for number in range(COUNTED_TASKS)]
        with redis.Redis(unix_socket_path=str(tmp_path / "data" / "broker.sock")) as broker:
            broker.flushall()
        rng = random.Random(3)
        for _ in range(2):
            eventually(lambda: runs.counts.total() > rng.randrange(COUNTED_TASKS // 2), within_s=60)
            worker.send_signal(signal.SIGKILL)
            worker.wait()
            worker = installation.start_worker("default", 2, name="one@backlog")
        ended = [installation.wait_for_task(task_id, within_s=120) for task_id in posted]
        assert count_messages(installation, "default") <= SMALLEST_WINDOW
        assert _size(installation, "default") > BACKLOG - 200
    print(f"a task with priority 9, behind {BACKLOG:,} waiting ones: started after {waited_s:.1f} s")
    assert waited_s < 3 * TASK_S
    assert {task["state"] for task in ended} == {"COMPLETED"}
    for task in ended:
        assert 1 <= runs.counts[task["name"]] <= 1 + task.get("redelivered", 0), task


def _post(installation: Installation) -> tuple[str, float]:
    """Submit a task. Return its id, and the seconds until the response."""
    start = time.monotonic()
    response = requests.post(f"{installation.url}/task", json={"name": "t", "run": "true"}, timeout=10)
    duration_s = time.monotonic() - start
    assert response.status_code == HTTPStatus.OK, response.text
    return response.json()["id"], duration_s


def _post_counted(installation: Installation, runs: RunCounter, number: int) -> str:
    name = f"counted{number}"
    task = {"name": name, "image": IMAGE, "run": f"{runs.script(name)}; sleep 1", "priority": 5}
    return str(installation.post("/task", task)["id"])


def _size(installation: Installation, queue: str) -> int:
    return int(installation.get(f"/queues/{queue}")["size"])


def _running(installation: Installation) -> int:
    return int(installation.get("/queues/default")["unacked"])


def _time(text: str) -> float:
    """Return the seconds since the epoch of a time in a response."""
    return datetime.fromisoformat(text).astimezone(UTC).timestamp()
