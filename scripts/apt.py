"""Debian's packages, for what a new machine lacks. Standard library only: it runs before .venv exists."""

import os
import platform
import shutil
import subprocess
from pathlib import Path


class Unavailable(Exception):
    """Something that is needed is missing; the message says what to install."""


def is_debian() -> bool:
    """Debian, or what is made from it, such as Ubuntu."""
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        return False
    family = {release["ID"], *release.get("ID_LIKE", "").split()}
    return "debian" in family and shutil.which("apt-get") is not None


def may_install() -> bool:
    return is_debian() and os.geteuid() == 0


def install(*packages: str) -> None:
    """Install the packages without what they only recommend. Raises Unavailable with apt's own words."""
    print(f"installing {', '.join(packages)} by apt-get", flush=True)
    _apt_get("install", "--yes", "--no-install-recommends", *packages)


def unpack(package: str, folder: Path) -> None:
    """Unpack a package's files into the folder, installing nothing. Needs no root if apt's lists are new."""
    _apt_get("download", package, folder=folder)
    for archive in folder.glob("*.deb"):
        subprocess.run(["dpkg-deb", "--extract", archive, folder], check=True)


def _apt_get(*arguments: str, folder: Path | None = None) -> None:
    """Run apt-get; when that fails, once more with new lists: on a new machine they are empty or old."""
    if _run(*arguments, folder=folder).returncode == 0:
        return
    _run("update")
    done = _run(*arguments, folder=folder)
    if done.returncode != 0:
        raise Unavailable(f"apt-get {' '.join(arguments)} failed:\n{done.stdout.strip()}")


def _run(*arguments: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["apt-get", "-qq", "-o", "DPkg::Lock::Timeout=120", *arguments],
        cwd=folder,
        env=os.environ | {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
