"""A step or another program fills the disk of the data directory: jobs go on, or at least can be managed."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import docker
import pytest
import requests

from tests.eventually import eventually
from tests.system.installation import LONG_LEASE, Installation
from tests.system.small_disk import DISK_MIB, FILL, disk

__all__ = ["disk"]

MIB = 2**20
FILL_AGAIN = "dd conv=notrunc if=/dev/zero of=$TORK_OUTPUT bs=1M count=500 2>/dev/null"
HELLO = {"name": "hello", "image": "busybox:stable", "run": "echo -n hello > $TORK_OUTPUT"}


@pytest.fixture
def installation(disk: Path, engine: docker.DockerClient) -> Iterator[Installation]:
    """An installation with two slots on the small disk."""
    del engine  # only started
    installation = Installation(disk, "--queue", "default:2", environment=LONG_LEASE)
    installation.start()
    yield installation
    installation.close()


def free_mib(disk: Path) -> float:
    space = os.statvfs(disk)
    return space.f_bavail * space.f_frsize / MIB


@contextmanager
def filled_by_another_program(disk: Path) -> Iterator[None]:
    """Leave no byte free. What the installation frees meanwhile is its own."""
    path = disk / "of-another-program"
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))
    try:
        yield
    finally:
        path.unlink()


def health(installation: Installation) -> requests.Response:
    return requests.get(f"{installation.url}/health", timeout=10)


def subscribers(installation: Installation) -> int:
    return int(installation.get("/queues/default")["subscribers"])


def wait_for_recovery(installation: Installation) -> None:
    """Wait until the installation is healthy, and runs a task."""
    eventually(lambda: health(installation).ok, explain=lambda: health(installation).text)
    assert installation.run_task(HELLO)["result"] == "hello"


def running_task(installation: Installation, script: str, **task: Any) -> dict[str, Any]:
    """Submit a task and wait until its container runs and has printed `started`."""
    submitted = installation.post(
        "/task",
        {"name": "t", "image": "busybox:stable", "timeout": "5m", "run": f"echo started; {script}", **task},
    )
    route = f"/tasks/{submitted['id']}"
    eventually(lambda: "started" in installation.read_log(route), explain=installation.process_log)
    return submitted


def test_step_that_fills_the_disk_fails_and_all_others_go_on(disk: Path, installation: Installation) -> None:
    other = running_task(installation, "sleep 3; echo -n other > $TORK_OUTPUT")
    fill = {"name": "fill", "image": "busybox:stable", "timeout": "60s", "run": f"{FILL}; exit 3"}

    filled = installation.run_task(fill, within_s=30)

    assert filled["state"] == "FAILED"
    assert filled["error"].startswith(("exit code 3", "the disk of the worker is full"))
    eventually(lambda: free_mib(disk) > DISK_MIB / 2)
    assert installation.wait_for_task(other["id"])["result"] == "other"
    wait_for_recovery(installation)


def test_step_that_keeps_the_disk_full_fails_with_the_reason(disk: Path, installation: Installation) -> None:
    """It never ends by itself, and takes each byte that becomes free."""
    filled = running_task(installation, f"while true; do {FILL_AGAIN}; done")

    ended = installation.wait_for_task(filled["id"], within_s=30)

    assert ended["state"] == "FAILED"
    assert ended["error"].startswith(f"the disk of the worker is full ({disk}")
    eventually(lambda: free_mib(disk) > DISK_MIB / 2)
    wait_for_recovery(installation)


def test_step_may_not_use_more_than_its_share(disk: Path, engine: docker.DockerClient) -> None:
    del engine
    limited = Installation(disk, "--queue", "default:2", environment={"TORK_STEP_DISK": "20m"})
    limited.start()
    try:
        small = limited.run_task(
            {**HELLO, "run": "dd if=/dev/zero of=large bs=1M count=10", "workdir": "/tork/workdir"}
        )
        large = running_task(limited, "dd if=/dev/zero of=/tork/workdir/large bs=1M count=30; sleep 300")
        ended = limited.wait_for_task(large["id"], within_s=30)

        assert small["state"] == "COMPLETED"
        assert ended["error"].startswith("uses more than 20m of disk space")
        wait_for_recovery(limited)
    finally:
        limited.close()


def test_jobs_are_managed_while_the_disk_is_full(disk: Path, installation: Installation) -> None:
    ended = installation.run_task(HELLO)
    running = running_task(installation, "sleep 300")

    with filled_by_another_program(disk):
        eventually(lambda: health(installation).status_code == 503)
        assert "the disk of the datastore is full" in health(installation).json()["down"]["datastore"]
        refused = requests.post(f"{installation.url}/task", json=HELLO, timeout=10)
        assert (refused.status_code, refused.json()["message"][:18]) == (503, "the disk of the da")
        eventually(lambda: subscribers(installation) == 0)
        assert "worker.disk_low" in installation.process_log()

        assert installation.get(f"/jobs/{ended['jobId']}")["state"] == "COMPLETED"
        requests.put(f"{installation.url}/jobs/{running['jobId']}/cancel", timeout=10).raise_for_status()
        assert installation.wait_for_job(running["jobId"])["state"] == "CANCELLED"
        requests.delete(f"{installation.url}/jobs/{ended['jobId']}", timeout=10).raise_for_status()
        assert requests.get(f"{installation.url}/jobs/{ended['jobId']}", timeout=10).status_code == 404

    wait_for_recovery(installation)
    eventually(lambda: subscribers(installation) == 1)  # the heartbeat after the first task says so


def test_restart_on_a_full_disk_waits_for_room(disk: Path, installation: Installation) -> None:
    ended = installation.run_task(HELLO)
    with filled_by_another_program(disk):
        eventually(lambda: health(installation).status_code == 503)
        installation.stop(signal.SIGTERM)
        installation.launch()

        def is_managed() -> bool:
            with suppress(requests.RequestException):
                deleted = requests.delete(f"{installation.url}/jobs/{ended['jobId']}", timeout=10)
                return deleted.status_code in (200, 404)
            return False

        eventually(is_managed, within_s=60, explain=installation.process_log)
        assert health(installation).status_code == 503

    installation.wait_until_ready()
    wait_for_recovery(installation)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=lambda number: number.name)
@pytest.mark.parametrize("ends", [True, False], ids=["step has ended", "step runs on"])
def test_step_that_filled_the_disk_while_nothing_ran_fails_after_the_restart(
    disk: Path, installation: Installation, engine: docker.DockerClient, *, ends: bool, number: signal.Signals
) -> None:
    """The volume tells the step to fill the disk, also when it runs a second time."""
    then = "exit 3" if ends else f"while true; do {FILL_AGAIN}; done"
    script = f"while ! test -e /data/go; do sleep 0.1; done; {FILL}; {then}"
    filled = running_task(installation, script, volumes=["/data"])
    [container] = engine.containers.list(filters={"label": f"tork.task={filled['id']}"})
    installation.stop(number)
    container.exec_run(["touch", "/data/go"])
    eventually(lambda: free_mib(disk) == 0)
    if ends:
        eventually(lambda: not engine.containers.list(filters={"label": f"tork.task={filled['id']}"}))

    installation.start()

    ended = installation.wait_for_task(filled["id"], within_s=60)
    assert ended["state"] == "FAILED"
    assert ended["error"].startswith("exit code 3" if ends else "the disk of the worker is full")
    eventually(lambda: free_mib(disk) > DISK_MIB / 2)
    wait_for_recovery(installation)
