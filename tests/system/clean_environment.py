"""A virtual environment with the built wheel and its runtime dependencies alone, made without a network."""

import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Collection
from importlib.metadata import Distribution, PathDistribution, distribution
from pathlib import Path
from shutil import copy2, copytree, ignore_patterns

from packaging.requirements import Requirement

_ROOT = Path(__file__).resolve().parents[2]
_BUILD_FILES = ("setup.cfg", "pyproject.toml", "README.md", "LICENSE", "celeryconfig.py")
_PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "--no-input")


class CleanEnvironment:
    """A virtual environment in `directory` that holds what `pip install tork_celery` would install."""

    def __init__(self, directory: Path) -> None:
        root = directory / "venv"
        self.command_dir = root / "bin"
        self.python = self.command_dir / "python"
        wheel = build_wheel(directory)
        venv.create(root, with_pip=False)
        site_packages = Path(sysconfig.get_path("purelib", "venv", {"base": str(root)}))
        for dependency in runtime_dependencies(_metadata(wheel)):
            _link_files(dependency, site_packages)
        # Without --no-deps, pip checks that the environment fulfils the requirements of the wheel.
        _run(*_PIP, "--python", self.python, "install", "--no-index", wheel)


def build_wheel(directory: Path) -> Path:
    """Build the wheel from a copy of the sources; return its path."""
    sources = directory / "sources"
    copytree(_ROOT / "tork_celery", sources / "tork_celery", ignore=ignore_patterns("__pycache__"))
    for name in _BUILD_FILES:
        copy2(_ROOT / name, sources)
    _run(*_PIP, "wheel", "--no-deps", "--no-build-isolation", "--no-index", "-w", directory, sources)
    [wheel] = directory.glob("*.whl")
    return wheel


def runtime_dependencies(package: Distribution) -> list[Distribution]:
    """Return the installed distributions that a package requires without its extras, directly or not."""
    found: dict[str, Distribution] = {}
    pending = _requirements(package, extras=())
    while pending:
        requirement = pending.pop()
        key = str(requirement)
        if key not in found:
            found[key] = distribution(requirement.name)
            pending += _requirements(found[key], extras=requirement.extras)
    return list({each.metadata["Name"]: each for each in found.values()}.values())


def _metadata(wheel: Path) -> Distribution:
    name, version, *_ = wheel.name.split("-")
    return PathDistribution(zipfile.Path(wheel, f"{name}-{version}.dist-info/"))


def _requirements(package: Distribution, *, extras: Collection[str]) -> list[Requirement]:
    """Return the requirements whose markers hold here, with these extras."""
    environments = [{"extra": extra} for extra in ("", *extras)]
    every = [Requirement(line) for line in package.requires or ()]
    return [
        each
        for each in every
        if each.marker is None or any(each.marker.evaluate(environment) for environment in environments)
    ]


def _link_files(dependency: Distribution, site_packages: Path) -> None:
    for file in dependency.files or ():
        if file.parts[0] != "..":  # a command, which nothing imports
            link = site_packages / file
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(Path(str(file.locate())).resolve())


def _run(*command: str | Path) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
