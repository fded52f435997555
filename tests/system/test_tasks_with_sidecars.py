"""Tasks with sidecars and mounts of all kinds through the whole system, in real containers."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
import requests

from tests.eventually import eventually
from tests.system.installation import LONG_LEASE, Installation, installed

IMAGE = "busybox:stable"


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """A directory of this machine that tasks may bind."""
    (tmp_path / "shared").mkdir()
    return tmp_path / "shared"


@pytest.fixture
def allowing(engine: docker.DockerClient, tmp_path: Path, shared: Path) -> Iterator[Installation]:
    """An installation without a worker of the queue `default`."""
    del engine  # it is there, and watched
    environment = {"TORK_BIND_SOURCES": str(shared), **LONG_LEASE}
    with installed(tmp_path / "data", "--queue", "other:1", environment=environment) as running:
        yield running


def serving(script: str, **probe: Any) -> dict[str, Any]:
    return {
        "name": "The Web",
        "image": IMAGE,
        "run": f"mkdir /www; {script}; exec httpd -f -p 80 -h /www",
        "probe": {"path": "/x", "port": 80, **probe},
    }


def left(engine: docker.DockerClient, task_id: str) -> list[object]:
    ours = {"label": f"tork.task={task_id}"}
    return [
        *engine.api.containers(all=True, filters=ours),
        *(engine.api.volumes(filters=ours)["Volumes"] or []),
        *engine.api.networks(filters=ours),
    ]


def test_a_task_has_its_sidecar_and_its_mounts_also_when_its_worker_is_killed(
    allowing: Installation, shared: Path, engine: docker.DockerClient
) -> None:
    worker = allowing.worker("default", 1, name="default@sidecars")
    task = {
        "name": "t",
        "image": IMAGE,
        "queue": "default",
        "sidecars": [serving("cp /theirs/begun /www/x")],
        "mounts": [
            {"type": "bind", "source": str(shared), "target": "/theirs"},
            {"type": "tmpfs", "target": "/fast", "opts": {"size": "1m"}},
            {"type": "volume", "target": "/data"},
        ],
        "pre": [{"image": IMAGE, "run": "echo -n begun > /theirs/begun"}],
        "run": "df /fast | grep -q tmpfs || exit 9\n"
        "touch /theirs/at-work; until [ -e /theirs/go ]; do sleep 0.1; done; wget -q -O - http://the-web/x",
        "post": [{"image": IMAGE, "run": "touch /theirs/done"}],
    }
    task_id = allowing.post("/task", task)["id"]
    eventually((shared / "at-work").exists)
    assert len(left(engine, task_id)) == 4  # the main container, the sidecar, the volume, the network

    worker.kill()
    worker.wait()
    allowing.worker("default", 1, name="default@sidecars")
    (shared / "go").touch()

    ended = allowing.ended_task(task_id)
    assert (ended["state"], ended.get("result"), ended.get("redelivered", 0)) == ("COMPLETED", "begun", 0)
    assert (shared / "done").exists()
    eventually(lambda: not left(engine, task_id))


def test_what_a_worker_that_was_killed_during_a_probe_had_made_is_made_anew(
    allowing: Installation, shared: Path, engine: docker.DockerClient
) -> None:
    worker = allowing.worker("default", 1, name="default@sidecars")
    wait = "echo >> /theirs/starts; until [ -e /theirs/go ]; do sleep 0.1; done; echo -n ready > /www/x"
    task = {
        "name": "t",
        "image": IMAGE,
        "sidecars": [serving(wait)],
        "mounts": [{"type": "bind", "source": str(shared), "target": "/theirs"}],
        "run": "wget -q -O - http://the-web/x",
    }
    task_id = allowing.post("/task", task)["id"]
    eventually((shared / "starts").exists)

    worker.kill()
    worker.wait()
    allowing.worker("default", 1, name="default@sidecars")
    eventually(lambda: (shared / "starts").read_text() == "\n\n")
    (shared / "go").touch()

    ended = allowing.ended_task(task_id)
    assert (ended["state"], ended.get("result")) == ("COMPLETED", "ready")
    eventually(lambda: not left(engine, task_id))


def test_the_timeout_of_a_task_runs_while_its_sidecars_are_probed(
    installation: Installation, engine: docker.DockerClient
) -> None:
    task = installation.run_task(
        {"name": "t", "image": IMAGE, "timeout": "1s", "sidecars": [serving("true")], "run": "echo never"}
    )

    assert (task["state"], task["error"]) == ("FAILED", "timed out after 1s")
    eventually(lambda: not left(engine, task["id"]))


def test_a_task_whose_sidecar_fails_says_which_and_why(
    installation: Installation, engine: docker.DockerClient
) -> None:
    task = installation.run_task(
        {"name": "t", "image": IMAGE, "sidecars": [serving("echo so sorry; exit 3")], "run": "echo never"}
    )

    assert task["state"] == "FAILED"
    assert task["error"].startswith('the sidecar "The Web" ended with exit code 3; ')
    assert task["error"].endswith("it printed: so sorry")
    eventually(lambda: not left(engine, task["id"]))


def test_a_cancelled_task_leaves_no_sidecar_behind(
    installation: Installation, engine: docker.DockerClient
) -> None:
    task = installation.post(
        "/task",
        {"name": "t", "image": IMAGE, "sidecars": [serving("echo > /www/x")], "run": "echo begun; sleep 300"},
    )
    eventually(lambda: "begun" in installation.log_of(f"/tasks/{task['id']}"))

    requests.put(f"{installation.url}/task/{task['id']}/cancel", timeout=10).raise_for_status()

    assert installation.ended_task(task["id"])["state"] == "CANCELLED"
    eventually(lambda: not left(engine, task["id"]))


def test_a_bind_mount_that_is_not_allowed_fails_the_task_and_names_the_setting(
    installation: Installation,
) -> None:
    mount = {"type": "bind", "source": "/etc", "target": "/theirs"}

    task = installation.run_task({"name": "t", "image": IMAGE, "mounts": [mount], "run": "echo never"})

    assert task["state"] == "FAILED"
    assert "TORK_BIND_SOURCES" in task["error"]
