"""Tasks with sidecars and all kinds of mounts in the whole system, with real containers."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
import requests

from tests.eventually import eventually
from tests.system.installation import LONG_LEASE, Installation, running_installation

IMAGE = "busybox:stable"


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """A directory of the host that tasks may bind."""
    (tmp_path / "shared").mkdir()
    return tmp_path / "shared"


@pytest.fixture
def binding_installation(engine: docker.DockerClient, tmp_path: Path, shared: Path) -> Iterator[Installation]:
    """An installation that allows to bind `shared`, without a worker for the queue `default`."""
    del engine  # only started
    environment = {"TORK_BIND_SOURCES": str(shared), **LONG_LEASE}
    with running_installation(tmp_path / "data", "--queue", "other:1", environment=environment) as running:
        yield running


def web_sidecar(script: str) -> dict[str, Any]:
    """Return a sidecar that runs a script, then serves /www. It is ready when it serves /x."""
    return {
        "name": "The Web",
        "image": IMAGE,
        "run": f"mkdir /www; {script}; exec httpd -f -p 80 -h /www",
        "probe": {"path": "/x", "port": 80},
    }


def resources_of(engine: docker.DockerClient, task_id: str) -> list[object]:
    filters = {"label": f"tork.task={task_id}"}
    return [
        *engine.api.containers(all=True, filters=filters),
        *(engine.api.volumes(filters=filters)["Volumes"] or []),
        *engine.api.networks(filters=filters),
    ]


def test_sidecar_and_mounts_survive_a_killed_worker(
    binding_installation: Installation, shared: Path, engine: docker.DockerClient
) -> None:
    worker = binding_installation.start_worker("default", 1, name="default@sidecars")
    task = {
        "name": "t",
        "image": IMAGE,
        "queue": "default",
        "sidecars": [web_sidecar("cp /shared/begun /www/x")],
        "mounts": [
            {"type": "bind", "source": str(shared), "target": "/shared"},
            {"type": "tmpfs", "target": "/fast", "opts": {"size": "1m"}},
            {"type": "volume", "target": "/data"},
        ],
        "pre": [{"image": IMAGE, "run": "echo -n begun > /shared/begun"}],
        "run": "df /fast | grep -q tmpfs || exit 9\n"
        "touch /shared/running; until [ -e /shared/go ]; do sleep 0.1; done; wget -q -O - http://the-web/x",
        "post": [{"image": IMAGE, "run": "touch /shared/done"}],
    }
    task_id = binding_installation.post("/task", task)["id"]
    eventually((shared / "running").exists)
    assert len(resources_of(engine, task_id)) == 4  # the main container, the sidecar, the volume, the network

    worker.kill()
    worker.wait()
    binding_installation.start_worker("default", 1, name="default@sidecars")
    (shared / "go").touch()

    ended = binding_installation.wait_for_task(task_id)
    assert (ended["state"], ended.get("result"), ended.get("redelivered", 0)) == ("COMPLETED", "begun", 0)
    assert (shared / "done").exists()
    eventually(lambda: not resources_of(engine, task_id))


def test_sidecar_starts_again_when_its_worker_is_killed_during_the_probe(
    binding_installation: Installation, shared: Path, engine: docker.DockerClient
) -> None:
    worker = binding_installation.start_worker("default", 1, name="default@sidecars")
    wait = "echo >> /shared/starts; until [ -e /shared/go ]; do sleep 0.1; done; echo -n ready > /www/x"
    task = {
        "name": "t",
        "image": IMAGE,
        "sidecars": [web_sidecar(wait)],
        "mounts": [{"type": "bind", "source": str(shared), "target": "/shared"}],
        "run": "wget -q -O - http://the-web/x",
    }
    task_id = binding_installation.post("/task", task)["id"]
    eventually((shared / "starts").exists)

    worker.kill()
    worker.wait()
    binding_installation.start_worker("default", 1, name="default@sidecars")
    eventually(lambda: (shared / "starts").read_text() == "\n\n")
    (shared / "go").touch()

    ended = binding_installation.wait_for_task(task_id)
    assert (ended["state"], ended.get("result")) == ("COMPLETED", "ready")
    eventually(lambda: not resources_of(engine, task_id))


def test_task_timeout_covers_the_probes_of_sidecars(
    installation: Installation, engine: docker.DockerClient
) -> None:
    task = installation.run_task(
        {"name": "t", "image": IMAGE, "timeout": "1s", "sidecars": [web_sidecar("true")], "run": "echo never"}
    )

    assert (task["state"], task["error"]) == ("FAILED", "timed out after 1s")
    eventually(lambda: not resources_of(engine, task["id"]))


def test_failed_sidecar_fails_the_task_with_its_name_and_output(
    installation: Installation, engine: docker.DockerClient
) -> None:
    task = installation.run_task(
        {"name": "t", "image": IMAGE, "sidecars": [web_sidecar("echo so sorry; exit 3")], "run": "echo never"}
    )

    assert task["state"] == "FAILED"
    assert task["error"].startswith('the sidecar "The Web" ended with exit code 3; ')
    assert task["error"].endswith("it printed: so sorry")
    eventually(lambda: not resources_of(engine, task["id"]))


def test_cancel_removes_the_sidecars(installation: Installation, engine: docker.DockerClient) -> None:
    task = installation.post(
        "/task",
        {
            "name": "t",
            "image": IMAGE,
            "sidecars": [web_sidecar("echo > /www/x")],
            "run": "echo started; sleep 300",
        },
    )
    eventually(lambda: "started" in installation.read_log(f"/tasks/{task['id']}"))

    requests.put(f"{installation.url}/task/{task['id']}/cancel", timeout=10).raise_for_status()

    assert installation.wait_for_task(task["id"])["state"] == "CANCELLED"
    eventually(lambda: not resources_of(engine, task["id"]))


def test_forbidden_bind_mount_fails_the_task_and_names_the_setting(
    installation: Installation,
) -> None:
    mount = {"type": "bind", "source": "/etc", "target": "/shared"}

    task = installation.run_task({"name": "t", "image": IMAGE, "mounts": [mount], "run": "echo never"})

    assert task["state"] == "FAILED"
    assert "TORK_BIND_SOURCES" in task["error"]
