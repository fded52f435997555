"""A Redis server for tests."""

import secrets
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import redis

from scripts.server_process import Server, free_port, is_open, server_directory
from scripts.servers.installation import REDIS, require


@contextmanager
def running_redis(*, tls: Path | None = None) -> Iterator[Server]:
    """Run a block while a new Redis server runs. Raises Unavailable.

    `tls`, a directory with `cert.pem` and `key.pem`, makes it accept only TLS.
    """
    require("redis")
    password, port = secrets.token_hex(16), free_port()
    with server_directory() as directory:
        # A file, because a list of processes would show a password in the arguments.
        configuration = directory / "redis.conf"
        configuration.write_text(
            f"bind 127.0.0.1\n{_listener(port, tls)}requirepass {password}\ndir {directory}\n"
            "appendonly yes\nsave ''\nmaxmemory-policy noeviction\n"
        )
        url = f"{'rediss' if tls else 'redis'}://:{password}@127.0.0.1:{port}/0"
        server = Server(
            url=url,
            command=[REDIS, configuration],
            directory=directory,
            is_ready=lambda: is_open(port) if tls else _answers_ping(url),
        )
        with server.running():
            yield server


def _listener(port: int, tls: Path | None) -> str:
    if tls is None:
        return f"port {port}\n"
    return (
        f"port 0\ntls-port {port}\ntls-cert-file {tls}/cert.pem\ntls-key-file {tls}/key.pem\n"
        f"tls-ca-cert-file {tls}/cert.pem\ntls-auth-clients no\n"
    )


def _answers_ping(url: str) -> bool:
    with closing(redis.Redis.from_url(url, socket_timeout=3)) as client:
        try:
            return bool(client.ping())
        except redis.RedisError:
            return False
