"""The log of a task with much output."""

from pathlib import Path

import docker
import psutil

from tests.system.installation import Installation, running_installation

LINES = 200_000
TEXT = "of a log that is as long as a line of a log is"
MAX_MEMORY_OVER_IDLE_BYTES = 50_000_000


def test_200000_lines_are_stored_in_order_with_little_memory(
    engine: docker.DockerClient, tmp_path: Path
) -> None:
    del engine  # only started
    with running_installation(tmp_path / "data", "--queue", "default:2") as installation:
        installation.run_task({"name": "warm up", "image": "busybox:stable", "run": "echo hello"})
        worker = _worker(installation)
        idle = worker.memory_info().rss
        script = f"seq 1 {LINES} | sed 's/.*/line & {TEXT}/'; echo done > $TORK_OUTPUT"
        task_id = installation.post("/task", {"name": "t", "image": "busybox:stable", "run": script})["id"]
        peak = idle
        while installation.get(f"/task/{task_id}")["state"] not in ("COMPLETED", "FAILED"):
            peak = max(peak, worker.memory_info().rss)
        log = installation.read_output(f"/tasks/{task_id}")
    assert log == "".join(f"line {number} {TEXT}\n" for number in range(1, LINES + 1))
    assert peak - idle < MAX_MEMORY_OVER_IDLE_BYTES


def _worker(installation: Installation) -> psutil.Process:
    assert installation.process is not None
    children = psutil.Process(installation.process.pid).children()
    return next(child for child in children if "default" in child.cmdline())
