import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import docker
import pytest

from tests.runtime.docker.containers import BUSYBOX, RuntimeFactory
from tests.runtime.steps import StepFactory
from tork_celery.runtime.docker import DockerRuntime


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that use the engine."""
    for item in items:
        if Path(__file__).parent in item.path.parents and "client" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.engine)


@pytest.fixture(scope="session")
def busybox() -> str:
    """An image that this host has, with a static busybox, all its applets, and the user root."""
    return BUSYBOX


@pytest.fixture(scope="session")
def cluster() -> str:
    return f"test-{uuid.uuid4().hex[:12]}"


@pytest.fixture(scope="session")
def client(cluster: str) -> Iterator[docker.APIClient]:
    """A client of the engine. At the end of the session the tests must have left nothing in the engine."""
    with closing(docker.APIClient(version="auto")) as client:
        yield client
        ours = {"label": f"tork.cluster={cluster}"}
        containers = client.containers(all=True, filters=ours)
        for container in containers:
            client.remove_container(container["Id"], v=True, force=True)
        volumes, networks = client.volumes(filters=ours)["Volumes"] or [], client.networks(filters=ours)
        for volume in volumes:
            client.remove_volume(volume["Name"])
        for network in networks:
            client.remove_network(network["Id"])
        assert (containers, volumes, networks) == ([], [], [])


@pytest.fixture
def make_runtime(
    tmp_path: Path,
    cluster: str,
    client: docker.APIClient,  # noqa: ARG001  finds what the runtimes leave in the engine
) -> Iterator[RuntimeFactory]:
    """Create runtimes. What they leave is removed at the end."""
    with closing(RuntimeFactory(cluster=cluster, work_dir=tmp_path / "work")) as factory:
        yield factory


@pytest.fixture
def runtime(make_runtime: RuntimeFactory) -> DockerRuntime:
    return make_runtime()


@pytest.fixture
def steps(busybox: str) -> StepFactory:
    return StepFactory(busybox)


@pytest.fixture
def derived_image(request: pytest.FixtureRequest, client: docker.APIClient, busybox: str) -> Iterator[str]:
    """Busybox with other settings, a Dockerfile's lines, which are the parameter."""
    container = client.create_container(busybox, ["true"])["Id"]
    repository = f"tork-test/{uuid.uuid4().hex}"
    image = client.commit(container, repository=repository, changes=request.param)["Id"]
    client.remove_container(container)
    yield image
    client.remove_image(image, force=True)


@pytest.fixture
def image_with_link(request: pytest.FixtureRequest, client: docker.APIClient, busybox: str) -> Iterator[str]:
    """Busybox with a symbolic link /link to the parameter."""
    container = client.create_container(busybox, ["ln", "-s", request.param, "/link"])["Id"]
    client.start(container)
    client.wait(container)
    image = client.commit(container, repository=f"tork-test/{uuid.uuid4().hex}")["Id"]
    client.remove_container(container)
    yield image
    client.remove_image(image, force=True)
