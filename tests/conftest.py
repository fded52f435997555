"""What all tests share: the engine, the local images, and a watch over what is left behind."""

from collections.abc import Iterator
from contextlib import closing

import docker
import pytest

from scripts.images import stand_ins
from tests.servers.datastores import postgresql_server, postgresql_url

__all__ = ["postgresql_server", "postgresql_url"]  # here, so that there is one server a session


_before = pytest.StashKey[dict[str, set[str]]]()


def pytest_sessionstart(session: pytest.Session) -> None:
    """What the engine has is noted once for all processes that the tests run in."""
    if not hasattr(session.config, "workerinput") and (found := _inventory()) is not None:
        session.config.stash[_before] = found


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """At the end the engine has what it had at the start, and no more: otherwise the run has failed."""
    before, after = session.config.stash.get(_before, None), _inventory()
    if before is None or after is None:
        return
    left = {kind: things - before[kind] for kind, things in after.items()}
    if any(left.values()):
        print(f"\nleft behind in the engine: {left}")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(scope="session")
def engine() -> Iterator[docker.DockerClient]:
    """The container engine, with all images that the examples name."""
    with closing(docker.from_env()) as client, stand_ins(client):
        yield client


def _inventory() -> dict[str, set[str]] | None:
    """None where no engine answers."""
    try:
        with closing(docker.from_env()) as client:
            return {
                "containers": {found["Id"] for found in client.api.containers(all=True)},
                "volumes": {found["Name"] for found in client.api.volumes()["Volumes"] or []},
                "networks": {found["Id"] for found in client.api.networks()},
            }
    except docker.errors.DockerException:
        return None
