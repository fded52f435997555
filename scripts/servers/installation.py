"""Installation of PostgreSQL, Redis and RabbitMQ by apt."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scripts import apt
from scripts.apt import Unavailable

PACKAGES = {
    "postgresql": "postgresql",
    "redis": "redis-server",
    "rabbitmq": "rabbitmq-server",
}
POSTGRESQL = Path("/usr/lib/postgresql")
RABBITMQ = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
REDIS = "redis-server"
_SERVICE_POLICY = Path("/usr/sbin/policy-rc.d")
"""A script that packages run before they start a service; exit code 101 forbids the start."""


def require(*names: str) -> None:
    """Install the servers that are missing. Raises Unavailable with what to do where this is not possible."""
    missing = [PACKAGES[name] for name in names if not _is_installed(name)]
    if not missing:
        return
    if not apt.may_install():
        raise Unavailable(f"Missing servers; on Debian or Ubuntu: apt-get install {' '.join(missing)}")
    with _services_disabled():
        apt.install(*missing)


def _is_installed(name: str) -> bool:
    if name == "postgresql":
        return any(POSTGRESQL.glob("*/bin/postgres"))
    return RABBITMQ.exists() if name == "rabbitmq" else shutil.which(REDIS) is not None


@contextmanager
def _services_disabled() -> Iterator[None]:
    """Keep packages from starting their services during a block."""
    if _SERVICE_POLICY.exists():
        yield
        return
    _SERVICE_POLICY.write_text("#!/bin/sh\nexit 101\n")
    _SERVICE_POLICY.chmod(0o755)
    try:
        yield
    finally:
        _SERVICE_POLICY.unlink()
