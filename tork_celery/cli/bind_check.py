"""Where the API listens, and who reaches it there."""

import ipaddress

from tork_celery.domain.errors import ConfigurationError

DEFAULT_PORT = 3000


def refuse_to_expose(host: str, *, insecure: bool, authenticated: bool = False) -> None:
    """Raises ConfigurationError for an address that other machines can reach, without authentication."""
    if not insecure and not authenticated and not _is_loopback(host):
        raise ConfigurationError(
            f"there is no authentication, so the API does not listen on {host}, where others can reach it: "
            "set TORK_AUTH to basic or key, use 127.0.0.1, or --insecure if something in front of it keeps "
            "strangers out"
        )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
