"""What all tests share: the engine, the local images, and a watch over what is left behind."""

import time
from collections.abc import Callable, Iterator

import docker
import pytest

from scripts.images import stand_ins

Eventually = Callable[..., object]


@pytest.fixture(scope="session")
def engine() -> Iterator[docker.DockerClient]:
    """The container engine. At the end of the session it has what it had at its start, and no more."""
    client = docker.from_env()
    before = _inventory(client)
    with stand_ins(client):
        yield client
    left = {kind: things - before[kind] for kind, things in _inventory(client).items()}
    client.close()
    assert not any(left.values()), f"left behind: {left}"


@pytest.fixture
def eventually() -> Eventually:
    """Waits until a condition is true and returns its value; fails with what it was last."""

    def wait(condition: Callable[[], object], *, within_s: float = 30.0) -> object:
        deadline = time.monotonic() + within_s
        while not (value := condition()):
            assert time.monotonic() < deadline, f"not within {within_s} s; it is {value!r}"
            time.sleep(0.05)
        return value

    return wait


def _inventory(client: docker.DockerClient) -> dict[str, set[str]]:
    return {
        "containers": {found["Id"] for found in client.api.containers(all=True)},
        "volumes": {found["Name"] for found in client.api.volumes()["Volumes"] or []},
        "networks": {found["Id"] for found in client.api.networks()},
    }
