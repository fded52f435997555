"""Archives of root file systems for images."""

import io
import tarfile
from collections.abc import Iterable
from pathlib import Path

import pytest

from scripts import rootfs

ELF = b"\x7fELF"


def write(binary: Path, links: Iterable[str] = (), libraries: Iterable[Path] = ()) -> tarfile.TarFile:
    target = io.BytesIO()
    rootfs.write(target, binary=binary, name="busybox", links=links, libraries=libraries)
    target.seek(0)
    return tarfile.open(fileobj=target)


def content(tar: tarfile.TarFile, name: str) -> bytes:
    file = tar.extractfile(name)
    assert file is not None
    return file.read()


@pytest.fixture
def binary(tmp_path: Path) -> Path:
    path = tmp_path / "binary"
    path.write_bytes(ELF + b" static")
    return path


def test_link_with_the_name_of_the_binary_does_not_replace_it(binary: Path) -> None:
    tar = write(binary, links=["bin/busybox", "bin/sh", "usr/bin/wget"])
    (entry,) = [entry for entry in tar if entry.name == "bin/busybox"]
    assert entry.isreg()
    assert entry.mode == 0o755
    assert content(tar, entry.name) == binary.read_bytes()


def test_commands_are_links_to_the_binary(binary: Path) -> None:
    tar = write(binary, links=["bin/sh", "usr/bin/wget"])
    assert {entry.name: entry.linkname for entry in tar if entry.issym()} == {
        "bin/sh": "/bin/busybox",
        "usr/bin/wget": "/bin/busybox",
    }


def test_tmp_is_writable_for_all_users(binary: Path) -> None:
    assert write(binary).getmember("tmp").mode == 0o1777


def test_libraries_keep_their_paths(binary: Path, tmp_path: Path) -> None:
    library = tmp_path / "libc.so"
    library.write_bytes(b"code")
    assert content(write(binary, libraries=[library]), str(library)[1:]) == b"code"


@pytest.mark.parametrize(
    ("data", "static"),
    [(ELF + b" static", True), (ELF + b" /lib64/ld-linux-x86-64.so.2", False), (b"#!/bin/sh", False)],
)
def test_static_programs_have_no_loader(tmp_path: Path, data: bytes, static: bool) -> None:
    path = tmp_path / "program"
    path.write_bytes(data)
    assert rootfs.is_static(path) is static
