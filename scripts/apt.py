"""Installation of Debian packages. Standard library only, because it runs before .venv exists."""

import os
import platform
import shutil
import subprocess
from pathlib import Path


class Unavailable(Exception):
    """A requirement is missing. The message says what to install or start."""


def is_debian() -> bool:
    """Return whether this is Debian or a derivative such as Ubuntu."""
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        return False
    family = {release["ID"], *release.get("ID_LIKE", "").split()}
    return "debian" in family and shutil.which("apt-get") is not None


def may_install() -> bool:
    return is_debian() and os.geteuid() == 0


def install(*packages: str) -> None:
    """Install packages without their recommendations. Raises Unavailable with the output of apt-get."""
    print(f"installing {', '.join(packages)} by apt-get", flush=True)
    _apt_get("install", "--yes", "--no-install-recommends", *packages)


def unpack(package: str, directory: Path) -> None:
    """Download a package and unpack its files into a directory, without installing it.

    Requires root only if the package lists are out of date. Raises Unavailable.
    """
    _apt_get("download", package, directory=directory)
    for archive in directory.glob("*.deb"):
        subprocess.run(["dpkg-deb", "--extract", archive, directory], check=True)


def _apt_get(*arguments: str, directory: Path | None = None) -> None:
    """Run apt-get. If it fails, update the package lists, which a new machine may not have, and try again."""
    if _run(*arguments, directory=directory).returncode == 0:
        return
    _run("update")
    second = _run(*arguments, directory=directory)
    if second.returncode != 0:
        raise Unavailable(f"apt-get {' '.join(arguments)} failed:\n{second.stdout.strip()}")


def _run(*arguments: str, directory: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["apt-get", "-qq", "-o", "DPkg::Lock::Timeout=120", *arguments],
        cwd=directory,
        env=os.environ | {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
