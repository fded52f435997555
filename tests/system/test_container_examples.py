"""The example jobs that need something of the engine or of the worker's machine."""

from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
import yaml

from tests.runtime.docker import fake_registry
from tests.system.installation import Installation, installed

EXAMPLES = Path(__file__).parents[2] / "examples"
STATUS = "mkdir /www; echo -n out of paper > /www/status; exec httpd -f -p 80 -h /www"


@pytest.fixture
def printer(engine: docker.DockerClient) -> Iterator[str]:
    """A network with a server in it; its name."""
    network = engine.networks.create("tork-test-office")
    server = engine.containers.run(
        "busybox:stable", ["sh", "-c", STATUS], name="printer", network=network.name, detach=True, init=True
    )
    yield str(network.name)
    server.remove(force=True, v=True)
    network.remove()


def text_of(name: str) -> str:
    return (EXAMPLES / name).read_text()


@pytest.mark.parametrize(
    ("name", "result"), [("sidecar.yaml", "hello from beside"), ("tmpfs.yaml", "1\n2\n3\n")]
)
def test_an_example_runs_as_it_stands(installation: Installation, name: str, result: str) -> None:
    task = installation.run_task(yaml.safe_load(text_of(name)))

    assert (task["state"], task.get("result")) == ("COMPLETED", result)


def test_bind(engine: docker.DockerClient, tmp_path: Path) -> None:
    del engine  # it is there, and watched
    (tmp_path / "media").mkdir()
    (tmp_path / "media" / "a film").touch()
    text = text_of("bind.yaml").replace("/srv/media", f"{tmp_path}/media")
    environment = {"TORK_BIND_SOURCES": f"{tmp_path}/media"}

    with installed(tmp_path / "data", "--queue", "default:1", environment=environment) as installation:
        task = installation.run_task(yaml.safe_load(text))

    assert (task["state"], task.get("result")) == ("COMPLETED", "a film\n")


def test_networks(installation: Installation, printer: str) -> None:
    text = text_of("networks.yaml").replace("[office]", f"[{printer}]")

    task = installation.run_task(yaml.safe_load(text))

    assert (task["state"], task.get("result")) == ("COMPLETED", "out of paper")


@pytest.fixture
def guarded_image(engine: docker.DockerClient) -> Iterator[str]:
    """An image in a registry of this machine, for the user of the example alone."""
    with fake_registry.serving() as registry:
        registry.store(b"".join(engine.api.get_image("busybox:stable")))
        registry.users = {"builder": "change-me"}
        image = f"{registry.address}/team/tool:1"
        yield image
        engine.images.remove(image, force=True)


@pytest.mark.covers("Step.registry")
def test_registry(installation: Installation, guarded_image: str) -> None:
    text = text_of("registry.yaml").replace("registry.example.com/team/tool:1", guarded_image)

    task = installation.run_task(yaml.safe_load(text))

    assert (task["state"], task.get("result")) == ("COMPLETED", "it ran")
