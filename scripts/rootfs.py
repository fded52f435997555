"""Root file systems of the local images, as tar archives: one binary with its libraries and configuration."""

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

Writer = Callable[[IO[bytes]], None]

DIRECTORIES = {
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


def write_busybox(target: IO[bytes]) -> None:
    """Write Debian's static busybox with a link for each of its commands. Raises Unavailable."""
    with tempfile.TemporaryDirectory() as directory:
        binary = _find_busybox(Path(directory))
        write(target, binary=binary, name="busybox", links=_busybox_commands(binary))


def write_alpine(target: IO[bytes]) -> None:
    """Write busybox with GNU wget. Raises Unavailable.

    The wget of busybox sends a file only up to its first NUL byte.
    """
    wget = _find_wget()
    with tempfile.TemporaryDirectory() as directory:
        binary = _find_busybox(Path(directory))
        write(
            target,
            binary=binary,
            name="busybox",
            links={path for path in _busybox_commands(binary) if not path.endswith("/wget")},
            libraries=libraries(wget),
            files={"usr/bin/wget": wget},
        )


def write_ffmpeg(target: IO[bytes]) -> None:
    """Write the ffmpeg of the imageio-ffmpeg wheel. Raises Unavailable if the wheel has none for Linux.

    It is static in some versions of the wheel, and needs the C library in others.
    """
    spec = find_spec("imageio_ffmpeg")
    locations = spec.submodule_search_locations if spec else None
    binaries = [path for place in locations or () for path in Path(place).glob("binaries/ffmpeg-linux-*")]
    if not binaries:
        raise apt.Unavailable("The installed imageio-ffmpeg has no ffmpeg for Linux")
    write(target, binary=binaries[0], name="ffmpeg", libraries=libraries(binaries[0]))


def write(
    target: IO[bytes],
    *,
    binary: Path,
    name: str,
    links: Iterable[str] = (),
    libraries: Iterable[Path] = (),
    files: Mapping[str, Path] = MappingProxyType({}),
) -> None:
    """Write an archive with the common files, the binary as `bin/NAME`, links to the binary, libraries under
    their paths on this machine, and other files by their paths in the image."""
    with tarfile.open(fileobj=target, mode="w") as tar:
        for path, mode in DIRECTORIES.items():
            tar.addfile(_entry(path, type=tarfile.DIRTYPE, mode=mode))
        for path, text in FILES.items():
            tar.addfile(_entry(path, size=len(text)), io.BytesIO(text.encode()))
        library_files = {str(file)[1:]: file for file in libraries}
        for path, file in {f"bin/{name}": binary, **library_files, **files}.items():
            with file.open("rb") as content:
                tar.addfile(_entry(path, mode=0o755, size=file.stat().st_size), content)
        for link in sorted(set(links) - {f"bin/{name}"}):  # a link to itself would replace the binary
            tar.addfile(_entry(link, type=tarfile.SYMTYPE, mode=0o777, linkname=f"/bin/{name}"))


def libraries(binary: Path) -> tuple[Path, ...]:
    """Return the shared libraries of a binary, including the loader. A static binary has none."""
    if is_static(binary):
        return ()
    output = subprocess.run(["ldd", binary], check=True, stdout=subprocess.PIPE, text=True).stdout
    return tuple(Path(path) for path in re.findall(r"(/\S+) \(0x", output))


def is_static(binary: Path) -> bool:
    """Return whether a file is an ELF program without a dynamic loader."""
    with binary.open("rb") as file:
        head = file.read(4096)
    return head.startswith(b"\x7fELF") and b"/ld-" not in head


def _busybox_commands(binary: Path) -> list[str]:
    """Return the paths of the commands in an image, such as `usr/bin/wget`."""
    command: list[str | Path] = [binary, "--list-full"]
    result = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return result.stdout.split()


def _find_busybox(directory: Path) -> Path:
    """Return the installed busybox if it is static, or else that of Debian, unpacked into the directory."""
    installed = shutil.which("busybox")
    if installed and is_static(Path(installed)):
        return Path(installed)
    if not apt.is_debian():
        raise apt.Unavailable("Install a static busybox (Debian's package is busybox-static)")
    apt.unpack("busybox-static", directory)
    return next(directory.glob("**/bin/busybox"))


def _find_wget() -> Path:
    if shutil.which("wget") is None:
        if not apt.may_install():
            raise apt.Unavailable("Install wget")
        apt.install("wget")
    return Path(shutil.which("wget") or "/usr/bin/wget")


def _entry(path: str, **fields: object) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(path)
    entry.mode = 0o644
    for field, value in fields.items():
        setattr(entry, field, value)
    return entry
