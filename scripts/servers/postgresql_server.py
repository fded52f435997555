"""A PostgreSQL server for tests. Its data does not survive a crash of the machine."""

import os
import secrets
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from scripts.apt import Unavailable
from scripts.server_process import Server, change_owner, free_port, log_path, server_directory, spawn
from scripts.servers.installation import POSTGRESQL, require

_INIT_TIMEOUT_S = 60.0
_USER = "tork"


@contextmanager
def running_postgresql() -> Iterator[Server]:
    """Run a block while a new PostgreSQL server runs. Raises Unavailable."""
    require("postgresql")
    user = "postgres" if os.geteuid() == 0 else None  # PostgreSQL does not run as root
    password, port = secrets.token_hex(16), free_port()
    with server_directory(user) as directory:
        data = directory / "data"
        _init_database(directory, data, password=password, user=user)
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(port),
            "unix_socket_directories": "",
            "fsync": "off",
            "max_connections": "200",
        }
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        url = f"postgresql://{_USER}:{password}@127.0.0.1:{port}/postgres"
        server = Server(
            url=url,
            command=[_program("postgres"), "-D", data, *options],
            directory=directory,
            is_ready=lambda: _accepts_connections(url),
            user=user,
            stop_signal=signal.SIGINT,  # does not wait until clients disconnect
        )
        with server.running():
            yield server


def _init_database(directory: Path, data: Path, *, password: str, user: str | None) -> None:
    password_file = directory / "password"
    password_file.write_text(password)
    change_owner(password_file, user)
    command: list[str | Path] = [_program("initdb"), "--pgdata", data]
    command += [f"--username={_USER}", f"--pwfile={password_file}", "--auth=scram-sha-256"]
    command += ["--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]
    if spawn(command, directory, user=user).wait(_INIT_TIMEOUT_S) != 0:
        raise Unavailable(f"initdb failed:\n{log_path(directory).read_text()}")


def _program(name: str) -> Path:
    """Return a program of the newest installed version."""
    return max(POSTGRESQL.glob(f"*/bin/{name}"), key=lambda path: float(path.parent.parent.name))


def _accepts_connections(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=3).close()
    except psycopg.OperationalError:
        return False
    return True
