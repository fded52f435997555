"""The table of a process lists the sockets of its network namespace; here, those of files as the kernel's."""

from pathlib import Path

import pytest

from tork_celery.runtime.docker.leftover_sockets import has_sockets

_NO_SOCKETS = {
    "sockstat": "sockets: used 3\nTCP: inuse 0 orphan 7 tw 0 alloc 9 mem 1\nUDP: inuse 0 mem 0\n",
    "sockstat6": "TCP6: inuse 0\nUDP6: inuse 0\n",
    "udp": "  sl  local_address\n",
    "udp6": "  sl  local_address\n",
    "raw": "  sl  local_address\n",
    "raw6": "  sl  local_address\n",
    "packet": "sk       RefCnt Type\n",
    "unix": "Num       RefCount Protocol Flags    Type St Inode Path\n",
}
_UNIX = _NO_SOCKETS["unix"] + "0000000000000000: 00000002 00000000 00010000 0001 01 25"


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    """A `/proc` of a kernel whose process 1 has no sockets in its namespace."""
    directory = tmp_path / "1" / "net"
    directory.mkdir(parents=True)
    for name, text in _NO_SOCKETS.items():
        (directory / name).write_text(text)
    return tmp_path


def test_namespace_without_sockets(proc: Path) -> None:
    assert not has_sockets(1, proc=proc)


@pytest.mark.parametrize(
    ("table", "text"),
    [
        ("sockstat", "TCP: inuse 1 orphan 0 tw 0 alloc 1 mem 1\n"),
        ("sockstat", "TCP: inuse 0 orphan 0 tw 1 alloc 0 mem 0\n"),
        ("sockstat6", "TCP6: inuse 1\n"),
        *((name, "heading\n   0: row\n") for name in ("udp", "udp6", "raw", "raw6", "packet")),
        ("unix", f"{_UNIX} @abstract\n"),
        ("unix", f"{_UNIX} @\n"),
    ],
)
def test_any_socket_counts(proc: Path, table: str, text: str) -> None:
    (proc / "1" / "net" / table).write_text(text)

    assert has_sockets(1, proc=proc)


@pytest.mark.parametrize("text", [f"{_UNIX}\n", f"{_UNIX} /run/socket\n", f"{_UNIX} /run/a @b\n"])
def test_unix_sockets_with_a_file_or_without_an_address_do_not_count(proc: Path, text: str) -> None:
    (proc / "1" / "net" / "unix").write_text(text)

    assert not has_sockets(1, proc=proc)


def test_kernel_without_ipv6(proc: Path) -> None:
    for name in ("sockstat6", "udp6", "raw6"):
        (proc / "1" / "net" / name).unlink()

    assert not has_sockets(1, proc=proc)


def test_ended_process_is_an_error(proc: Path) -> None:
    with pytest.raises(OSError, match="sockstat"):
        has_sockets(2, proc=proc)
