"""Installations for the system tests."""

from collections.abc import Iterator

import docker
import pytest

from tests.system.installation import Installation, two_slots


@pytest.fixture(scope="session")
def installation(
    engine: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    """One for all tests that need nothing of their own, with two slots."""
    del engine  # it is there, and watched
    with two_slots(tmp_path_factory) as running:
        yield running
