import io
import tarfile
from pathlib import Path

import pytest

from scripts import rootfs

ELF = b"\x7fELF"


def written(binary: Path, **options: object) -> tarfile.TarFile:
    target = io.BytesIO()
    rootfs.write(target, binary=binary, name="busybox", **options)
    target.seek(0)
    return tarfile.open(fileobj=target)


@pytest.fixture
def binary(tmp_path: Path) -> Path:
    path = tmp_path / "binary"
    path.write_bytes(ELF + b" static")
    return path


def test_a_link_named_like_the_binary_does_not_replace_it(binary: Path) -> None:
    tar = written(binary, links=["bin/busybox", "bin/sh", "usr/bin/wget"])
    (entry,) = [entry for entry in tar if entry.name == "bin/busybox"]
    assert entry.isreg()
    assert entry.mode == 0o755
    assert tar.extractfile(entry).read() == binary.read_bytes()


def test_every_command_is_a_link_to_the_binary(binary: Path) -> None:
    tar = written(binary, links=["bin/sh", "usr/bin/wget"])
    assert {entry.name: entry.linkname for entry in tar if entry.issym()} == {
        "bin/sh": "/bin/busybox",
        "usr/bin/wget": "/bin/busybox",
    }


def test_everyone_may_write_to_tmp(binary: Path) -> None:
    assert written(binary).getmember("tmp").mode == 0o1777


def test_libraries_keep_their_paths(binary: Path, tmp_path: Path) -> None:
    library = tmp_path / "libc.so"
    library.write_bytes(b"code")
    assert written(binary, libraries=[library]).extractfile(str(library)[1:]).read() == b"code"


@pytest.mark.parametrize(
    ("content", "static"),
    [(ELF + b" static", True), (ELF + b" /lib64/ld-linux-x86-64.so.2", False), (b"#!/bin/sh", False)],
)
def test_a_static_program_names_no_loader(tmp_path: Path, content: bytes, static: bool) -> None:
    path = tmp_path / "program"
    path.write_bytes(content)
    assert rootfs.is_static(path) is static
