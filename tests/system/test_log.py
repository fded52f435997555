"""The log of a task that prints much."""

from pathlib import Path

import docker
import psutil

from tests.system.installation import Installation, installed

LINES = 200_000
WORDS = "of a log that is as long as a line of a log is"
MOST_OVER_IDLE_BYTES = 50_000_000


def test_200000_lines_are_stored_whole_and_in_order_in_little_memory(
    engine: docker.DockerClient, tmp_path: Path
) -> None:
    del engine
    with installed(tmp_path / "data", "--queue", "default:2") as installation:
        installation.run_task({"name": "warm up", "image": "busybox:stable", "run": "echo hello"})
        worker = _worker(installation)
        idle = worker.memory_info().rss
        script = f"seq 1 {LINES} | sed 's/.*/line & {WORDS}/'; echo done > $TORK_OUTPUT"
        task_id = installation.post("/task", {"name": "t", "image": "busybox:stable", "run": script})["id"]
        most = idle
        while installation.get(f"/task/{task_id}")["state"] not in ("COMPLETED", "FAILED"):
            most = max(most, worker.memory_info().rss)
        log = installation.log_of(f"/tasks/{task_id}")
    assert log == "".join(f"line {number} {WORDS}\n" for number in range(1, LINES + 1))
    assert most - idle < MOST_OVER_IDLE_BYTES


def _worker(installation: Installation) -> psutil.Process:
    assert installation.process is not None
    children = psutil.Process(installation.process.pid).children()
    return next(child for child in children if "default" in child.cmdline())
