"""Fixtures of the system tests."""

from collections.abc import Iterator

import docker
import pytest

from tests.system.installation import Installation, two_slot_installation


@pytest.fixture(scope="session")
def installation(
    engine: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    """An installation with two slots, shared by all tests that do not restart or configure one."""
    del engine  # only started
    with two_slot_installation(tmp_path_factory) as running:
        yield running
