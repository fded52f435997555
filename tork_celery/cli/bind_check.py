"""Checks of the address that the API listens on."""

import ipaddress
import socket

from tork_celery.domain.errors import ConfigurationError

DEFAULT_PORT = 3000


def check_bind_address(host: str, *, insecure: bool, authenticated: bool = False) -> None:
    """Reject an address that other machines can reach unless users are authenticated.

    Raises ConfigurationError.
    """
    if not insecure and not authenticated and not _is_loopback(host):
        raise ConfigurationError(
            f"without authentication the API does not listen on {host}, which other machines can reach: "
            "set TORK_AUTH to basic or key, use 127.0.0.1, or add --insecure if a proxy or a firewall "
            "protects the API"
        )


def check_port_is_free(host: str, port: int) -> None:
    """Raises ConfigurationError when the API cannot listen on this address."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ConfigurationError(
                f"cannot listen on {host}, port {port}: {error.strerror}; choose another port with --port"
            ) from error


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
