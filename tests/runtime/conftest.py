import pytest

pytest.register_assert_rewrite("runtime_contract", "steps_at_work")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "engine: needs a container engine")


BUSYBOX = "busybox:stable"


@pytest.fixture(scope="session")
def busybox() -> str:
    """An image of this machine with a static busybox and all its applets, and the user root."""
    return BUSYBOX
