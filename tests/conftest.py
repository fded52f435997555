"""What all tests share: the engine, the local images, and a watch over what is left behind."""

from collections.abc import Iterator

import docker
import pytest
from servers.datastores import postgresql_server, postgresql_url

from scripts.images import stand_ins

__all__ = ["postgresql_server", "postgresql_url"]  # here, so that there is one server a session


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


def _inventory(client: docker.DockerClient) -> dict[str, set[str]]:
    return {
        "containers": {found["Id"] for found in client.api.containers(all=True)},
        "volumes": {found["Name"] for found in client.api.volumes()["Volumes"] or []},
        "networks": {found["Id"] for found in client.api.networks()},
    }
