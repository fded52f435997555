import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import docker
import pytest

from tork_celery.runtime.docker import DockerRuntime

pytest.register_assert_rewrite(
    "tests.runtime.exchange_contract", "tests.runtime.runtime_contract", "tests.runtime.steps_at_work"
)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "engine: needs a container engine")


BUSYBOX = "busybox:stable"

Another = Callable[..., DockerRuntime]


@pytest.fixture(scope="session")
def busybox() -> str:
    """An image of this machine with a static busybox and all its applets, and the user root."""
    return BUSYBOX


@pytest.fixture(scope="session")
def cluster() -> str:
    return f"test-{uuid.uuid4().hex[:12]}"


@pytest.fixture(scope="session")
def client(cluster: str) -> Iterator[docker.APIClient]:
    """The engine, seen past the runtime. When all is done, nothing of the tests may be left in it."""
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
def another(tmp_path: Path, cluster: str) -> Iterator[Another]:
    """Makes runtimes of one node, as its process and those that come after it have them. In the end, what
    is left of the node is removed, as a worker's sweep does."""
    made: list[DockerRuntime] = []

    def make(
        *, node: str = "default@here", url: str | None = None, pull_timeout_s: float = 30, **more: Any
    ) -> DockerRuntime:
        runtime = DockerRuntime(
            cluster=cluster,
            node=node,
            work_dir=tmp_path / "work",
            url=url,
            log_limit_bytes=50_000_000,
            pull_timeout_s=pull_timeout_s,
            pool_size=4,
            **more,
        )
        made.append(runtime)
        return runtime

    yield make
    sweep = make()
    for leftovers in sweep.leftovers():
        sweep.remove_delivery(leftovers.task_id, leftovers.delivery)
    for runtime in made:
        runtime.close()
    assert list((tmp_path / "work").glob("*/*")) == []


@pytest.fixture
def runtime(another: Another, client: docker.APIClient) -> DockerRuntime:  # noqa: ARG001  it looks after us
    """A Docker runtime; the tests of another kind have a fixture of their own."""
    return another()
