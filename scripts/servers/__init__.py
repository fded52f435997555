"""PostgreSQL, Redis and RabbitMQ servers for tests and trials, each on a free port of this machine.

Missing servers are installed by apt if possible. Their data is deleted when they stop.
`python -m scripts.servers` runs all three.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from scripts.servers.installation import PACKAGES, require
from scripts.servers.postgresql_server import running_postgresql
from scripts.servers.rabbitmq_server import running_rabbitmq
from scripts.servers.redis_server import running_redis

__all__ = [
    "PACKAGES",
    "postgresql",
    "rabbitmq",
    "redis",
    "require",
    "running_postgresql",
    "running_rabbitmq",
    "running_redis",
]


@contextmanager
def postgresql() -> Iterator[str]:
    """Run a block while a PostgreSQL server runs, and yield the URL of the server. Raises Unavailable."""
    with running_postgresql() as server:
        yield server.url


@contextmanager
def redis() -> Iterator[str]:
    """Run a block while a Redis server runs, and yield the URL of the server. Raises Unavailable."""
    with running_redis() as server:
        yield server.url


@contextmanager
def rabbitmq(options: Mapping[str, str] | None = None) -> Iterator[str]:
    """Run a block while a RabbitMQ server runs, and yield the URL of the server. Raises Unavailable."""
    with running_rabbitmq(options) as server:
        yield server.url
