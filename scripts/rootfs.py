"""Root file systems for the local images, as tar archives: one binary and the little it needs."""

import io
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import IO

from scripts import apt

Maker = Callable[[IO[bytes]], None]

FOLDERS = {
    "bin": 0o755,
    "etc": 0o755,
    "root": 0o700,
    "tmp": 0o1777,
    "usr/bin": 0o755,
    "usr/sbin": 0o755,
    "var/tmp": 0o1777,
}

FILES = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
    "etc/group": "root:x:0:\nnogroup:x:65534:\n",
    "etc/nsswitch.conf": "hosts: files dns\n",
}


def busybox(tar: IO[bytes]) -> None:
    """Debian's static busybox with all of its commands. Raises Unavailable where it cannot be had."""
    with tempfile.TemporaryDirectory() as folder:
        binary = _find_busybox(Path(folder))
        listed = subprocess.run([binary, "--list-full"], check=True, stdout=subprocess.PIPE, text=True)
        write(tar, binary=binary, name="busybox", links=listed.stdout.split())


def alpine(tar: IO[bytes]) -> None:
    """Busybox, with GNU wget in the place of its own, which sends a file only up to its first NUL byte.

    Raises Unavailable where there is none.
    """
    wget = shutil.which("wget")
    if wget is None:
        if not apt.may_install():
            raise apt.Unavailable("Install wget")
        apt.install("wget")
        wget = shutil.which("wget") or "/usr/bin/wget"
    with tempfile.TemporaryDirectory() as folder:
        binary = _find_busybox(Path(folder))
        listed = subprocess.run([binary, "--list-full"], check=True, stdout=subprocess.PIPE, text=True)
        links = {link for link in listed.stdout.split() if not link.endswith("/wget")}
        others = {"usr/bin/wget": Path(wget)}
        write(tar, binary=binary, name="busybox", links=links, libraries=libraries(Path(wget)), others=others)


def ffmpeg(tar: IO[bytes]) -> None:
    """The ffmpeg of the imageio-ffmpeg wheel. Raises Unavailable where the wheel carries none for Linux.

    In some versions of the wheel it is static, in others it wants the C library, which then comes along.
    """
    spec = find_spec("imageio_ffmpeg")
    places = spec.submodule_search_locations if spec else None
    binaries = [path for place in places or () for path in Path(place).glob("binaries/ffmpeg-linux-*")]
    if not binaries:
        raise apt.Unavailable("The installed imageio-ffmpeg carries no ffmpeg for Linux")
    write(tar, binary=binaries[0], name="ffmpeg", libraries=libraries(binaries[0]))


def write(
    target: IO[bytes],
    *,
    binary: Path,
    name: str,
    links: Iterable[str] = (),
    libraries: Iterable[Path] = (),
    others: Mapping[str, Path] = MappingProxyType({}),
) -> None:
    """Write the archive: the folders and files that every image has, the binary, links to it, libraries under
    the paths that they have here, and other files by their paths in the image."""
    with tarfile.open(fileobj=target, mode="w") as tar:
        for path, mode in FOLDERS.items():
            tar.addfile(_entry(path, type=tarfile.DIRTYPE, mode=mode))
        for path, text in FILES.items():
            tar.addfile(_entry(path, size=len(text)), io.BytesIO(text.encode()))
        loaded = {str(file)[1:]: file for file in libraries}
        for path, file in {f"bin/{name}": binary, **loaded, **others}.items():
            with file.open("rb") as content:
                tar.addfile(_entry(path, mode=0o755, size=file.stat().st_size), content)
        for link in sorted(set(links) - {f"bin/{name}"}):  # a link of the binary's own name would replace it
            tar.addfile(_entry(link, type=tarfile.SYMTYPE, mode=0o777, linkname=f"/bin/{name}"))


def libraries(binary: Path) -> tuple[Path, ...]:
    """The shared libraries that the binary loads, its loader among them; none if it is static."""
    if is_static(binary):
        return ()
    listed = subprocess.run(["ldd", binary], check=True, stdout=subprocess.PIPE, text=True)
    return tuple(Path(path) for path in re.findall(r"(/\S+) \(0x", listed.stdout))


def is_static(binary: Path) -> bool:
    """Whether it is an ELF program that names no dynamic loader."""
    with binary.open("rb") as file:
        head = file.read(4096)
    return head.startswith(b"\x7fELF") and b"/ld-" not in head


def _find_busybox(folder: Path) -> Path:
    """The one that is installed, else that of Debian's package, unpacked into the folder."""
    installed = shutil.which("busybox")
    if installed and is_static(Path(installed)):
        return Path(installed)
    if not apt.is_debian():
        raise apt.Unavailable("Install a static busybox (Debian's package is busybox-static)")
    apt.unpack("busybox-static", folder)
    return next(folder.glob("**/bin/busybox"))


def _entry(path: str, **fields: object) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(path)
    entry.mode = 0o644
    for field, value in fields.items():
        setattr(entry, field, value)
    return entry
