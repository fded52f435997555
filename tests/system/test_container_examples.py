"""The example jobs that need a network, a registry or a directory of the host."""

from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
import yaml

from tests.runtime.docker import fake_registry
from tests.system.installation import Installation, running_installation

EXAMPLES = Path(__file__).parents[2] / "examples"
STATUS = "mkdir /www; echo -n out of paper > /www/status; exec httpd -f -p 80 -h /www"


@pytest.fixture
def printer_network(engine: docker.DockerClient) -> Iterator[str]:
    """Run a server named `printer` in a new network; yield the name of the network."""
    network = engine.networks.create("tork-test-office")
    server = engine.containers.run(
        "busybox:stable", ["sh", "-c", STATUS], name="printer", network=network.name, detach=True, init=True
    )
    yield str(network.name)
    server.remove(force=True, v=True)
    network.remove()


def read_example(name: str) -> str:
    return (EXAMPLES / name).read_text()


@pytest.mark.parametrize(
    ("name", "result"), [("sidecar.yaml", "hello from beside"), ("tmpfs.yaml", "1\n2\n3\n")]
)
def test_example_completes(installation: Installation, name: str, result: str) -> None:
    task = installation.run_task(yaml.safe_load(read_example(name)))

    assert (task["state"], task.get("result")) == ("COMPLETED", result)


def test_bind_example_lists_the_host_directory(engine: docker.DockerClient, tmp_path: Path) -> None:
    del engine  # only started
    (tmp_path / "media").mkdir()
    (tmp_path / "media" / "a film").touch()
    text = read_example("bind.yaml").replace("/srv/media", f"{tmp_path}/media")
    environment = {"TORK_BIND_SOURCES": f"{tmp_path}/media"}

    with running_installation(
        tmp_path / "data", "--queue", "default:1", environment=environment
    ) as installation:
        task = installation.run_task(yaml.safe_load(text))

    assert (task["state"], task.get("result")) == ("COMPLETED", "a film\n")


def test_networks_example_reaches_a_server_in_its_network(
    installation: Installation, printer_network: str
) -> None:
    text = read_example("networks.yaml").replace("[office]", f"[{printer_network}]")

    task = installation.run_task(yaml.safe_load(text))

    assert (task["state"], task.get("result")) == ("COMPLETED", "out of paper")


@pytest.fixture
def private_image(engine: docker.DockerClient) -> Iterator[str]:
    """An image in a local registry, which only the user of the example may pull."""
    with fake_registry.serving() as registry:
        registry.store(b"".join(engine.api.get_image("busybox:stable")))
        registry.users = {"builder": "change-me"}
        image = f"{registry.address}/team/tool:1"
        yield image
        engine.images.remove(image, force=True)


@pytest.mark.covers("Step.registry")
def test_registry_example_pulls_with_credentials(installation: Installation, private_image: str) -> None:
    text = read_example("registry.yaml").replace("registry.example.com/team/tool:1", private_image)

    task = installation.run_task(yaml.safe_load(text))

    assert (task["state"], task.get("result")) == ("COMPLETED", "it ran")
