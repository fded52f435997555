"""Fixtures and hooks that all tests share: the engine, PostgreSQL, and a check for leftovers.

Two markers say what a test needs beside Python: `engine` (a container engine) and `postgresql` (a server that
is installed where it is missing). They are set here, from the folder and the fixtures of a test. `make unit`
runs the tests that have neither.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.servers.datastores import postgresql_server, postgresql_url
from tork_celery.domain.errors import EngineUnavailable

if TYPE_CHECKING:
    import docker

__all__ = ["postgresql_server", "postgresql_url"]  # here, so that a session starts one server

pytest_plugins = ["tests.field_coverage"]

_SYSTEM_TESTS = Path(__file__).parent / "system"
_OURS = {"label": "tork.cluster"}
_before = pytest.StashKey[dict[str, str]]()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that need a container engine or PostgreSQL."""
    for item in items:
        names = getattr(item, "fixturenames", ())
        parameters = getattr(getattr(item, "callspec", None), "params", {})
        if "engine" in names or _SYSTEM_TESTS in item.path.parents:
            item.add_marker(pytest.mark.engine)
        if "postgresql_url" in names or "postgresql" in parameters.values():
            item.add_marker(pytest.mark.postgresql)


def pytest_sessionstart(session: pytest.Session) -> None:
    """Note what the engine has, once for all processes of the run."""
    if not hasattr(session.config, "workerinput") and (found := _inventory()) is not None:
        session.config.stash[_before] = found


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the run when a container, volume or network of ours is left that was not there at the start."""
    before = session.config.stash.get(_before, None)
    if before is None or (after := _inventory()) is None:
        return
    left = [text for id_, text in after.items() if id_ not in before]
    if left:
        print("\nleft behind in the engine:", *left, sep="\n  ")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(scope="session")
def engine() -> Iterator[docker.DockerClient]:
    """Return a client of the container engine, which has all images that the examples name."""
    import docker  # noqa: PLC0415  most tests run without it

    from scripts.images import stand_ins  # noqa: PLC0415

    with closing(docker.from_env()) as client, stand_ins(client):
        yield client


@pytest.fixture(scope="session", autouse=True)
def _cheap_password_hashes() -> Iterator[None]:
    """Hash passwords with the least cost, since many tests create users."""
    from tork_celery.services import passwords  # noqa: PLC0415  imported late, as in most tests it is not needed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "_METHOD", "scrypt:1024:1:1")
        yield


@pytest.fixture(scope="session", autouse=True)
def _short_pauses_of_the_client() -> Iterator[None]:
    """Keep commands that run in this process from waiting before they ask a stub of the API again."""
    from tork_celery.cli import client  # noqa: PLC0415  as above

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(client, "RETRY_PAUSES_S", (0.0, 0.0))
        yield


@pytest.fixture(scope="session", autouse=True)
def _unconfigured_logging() -> Iterator[None]:
    """Keep commands that run in this process from configuring logging: tests after them capture records."""
    from tork_celery import log_config  # noqa: PLC0415  as above

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(log_config, "configure", lambda *_args, **_options: None)
        yield


def _inventory() -> dict[str, str] | None:
    """Describe the engine's objects that carry our label, by their ids. None where no engine answers."""
    import docker  # noqa: PLC0415

    from tork_celery.runtime.docker.engine_connection import EngineConnection  # noqa: PLC0415

    try:  # the SDK's own client would leak its socket
        EngineConnection(os.environ.get("DOCKER_HOST"), connections=1).ping(within_s=5)
    except EngineUnavailable:
        return None
    with closing(docker.from_env(timeout=10)) as client:
        containers = client.api.containers(all=True, filters=_OURS)
        others = [*(client.api.volumes(filters=_OURS)["Volumes"] or []), *client.api.networks(filters=_OURS)]
    return {
        **{each["Id"]: f"{each['Names']}, {each['Status']}: {each['Labels']}" for each in containers},
        **{each["Name"]: f"{each['Name']}: {each['Labels']}" for each in others},
    }
