"""Sockets in the network namespace of a process, as the kernel reports them in `/proc`.

A namespace that no container uses any more may still have some: closed connections, which TCP keeps for a
minute.
"""

from pathlib import Path

# TCP is counted: its tables take milliseconds, since the kernel walks through those of all namespaces.
_COUNTS = {"sockstat": "TCP:", "sockstat6": "TCP6:"}
_COUNTED = {"inuse", "tw"}  # with listeners; `tw` are closed connections, of IPv6 too
_TABLES = ("udp", "udp6", "raw", "raw6", "packet")
_ADDRESS_FIELD = 7  # in the table "unix"
_ABSTRACT = "@"  # the first character of an abstract address. Others are files, and end with their container


def has_sockets(pid: int, *, proc: Path = Path("/proc")) -> bool:
    """Return whether the network namespace of a process has any socket, also one of a closed connection.

    Unix sockets count if their address is abstract. Raises OSError if this user may not look, or the process
    has ended.
    """
    directory = proc / str(pid) / "net"
    return (
        any(_tcp_sockets(_lines(directory / name), label) for name, label in _COUNTS.items())
        or any(_lines(directory / name)[1:] for name in _TABLES)
        or any(_address(row).startswith(_ABSTRACT) for row in _lines(directory / "unix")[1:])
    )


def _lines(path: Path) -> list[str]:
    """Return the lines of a file; none where the kernel does not have its protocol."""
    try:
        return path.read_text(errors="surrogateescape").splitlines()
    except FileNotFoundError:
        if path.name != "sockstat" and path.parent.is_dir():
            return []
        raise


def _tcp_sockets(lines: list[str], label: str) -> int:
    """Return the number of sockets in a line such as `TCP: inuse 1 orphan 0 tw 2 alloc 3 mem 4`."""
    for line in lines:
        first, *fields = line.split()
        if first == label:
            counts = dict(zip(fields[::2], map(int, fields[1::2]), strict=True))
            return sum(counts.get(name, 0) for name in _COUNTED)
    return 0


def _address(row: str) -> str:
    """Return the address of a Unix socket; empty without one."""
    fields = row.split(maxsplit=_ADDRESS_FIELD)
    return fields[_ADDRESS_FIELD] if len(fields) > _ADDRESS_FIELD else ""
