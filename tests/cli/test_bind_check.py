"""Without authentication the API listens on this machine only, and on a free port only."""

import socket

import pytest

from tork_celery.cli.bind_check import check_bind_address, check_port_is_free
from tork_celery.domain.errors import ConfigurationError


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_loopback_address_is_accepted(host: str) -> None:
    check_bind_address(host, insecure=False)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.1", "", "example.com", "localhost.example.com"])
def test_address_that_others_reach_is_rejected(host: str) -> None:
    with pytest.raises(
        ConfigurationError,
        match=r"without authentication.*set TORK_AUTH.*use 127\.0\.0\.1, or add --insecure",
    ):
        check_bind_address(host, insecure=False)


def test_insecure_accepts_any_address() -> None:
    check_bind_address("0.0.0.0", insecure=True)


def test_authentication_accepts_any_address() -> None:
    check_bind_address("0.0.0.0", insecure=False, authenticated=True)


def test_port_in_use_is_rejected_until_it_is_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(ConfigurationError, match=f"cannot listen on 127.0.0.1, port {port}: .*--port"):
            check_port_is_free("127.0.0.1", port)

    check_port_is_free("127.0.0.1", port)
