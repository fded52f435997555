"""A user whose steps fill the disk keeps nobody waiting. `make hostile` runs this too."""

from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
import requests

from tests.eventually import eventually
from tests.system.installation import ENDED, LONG_LEASE, Installation, running_installation
from tests.system.small_disk import FILL, disk
from tests.system.victim import Victim, attacking

__all__ = ["disk"]

pytestmark = pytest.mark.hostile

IMAGE = "busybox:stable"


@pytest.fixture
def on_a_small_disk(disk: Path, engine: docker.DockerClient) -> Iterator[Installation]:
    del engine  # only started
    queues = ("--queue", "default:2", "--queue", "attacker:1")
    with running_installation(disk, *queues, environment=LONG_LEASE) as installation:
        yield installation


def test_steps_that_fill_the_disk_keep_nobody_waiting(on_a_small_disk: Installation) -> None:
    victim = Victim(on_a_small_disk, may_be_refused=True)
    fill = {"name": "fill", "image": IMAGE, "queue": "attacker", "timeout": "60s", "run": f"{FILL}; exit 3"}
    filled = list[str]()

    def attack() -> None:
        submitted = requests.post(f"{on_a_small_disk.url}/task", json=fill, timeout=30)
        if submitted.ok:
            filled.append(submitted.json()["id"])
            eventually(lambda: on_a_small_disk.get(f"/task/{filled[-1]}")["state"] in ENDED, within_s=60)

    with attacking(attack):
        victim.work()

    victim.check()
    assert filled
    assert {on_a_small_disk.wait_for_task(task_id)["state"] for task_id in filled} == {"FAILED"}
