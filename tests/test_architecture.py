"""Imports point down: import-linter's contracts hold, and would notice if they did not."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LINT = "import sys; from importlinter.cli import lint_imports_command; sys.exit(lint_imports_command())"


def lint(directory: Path) -> subprocess.CompletedProcess[str]:
    """Run import-linter over the package in `directory`."""
    command = [sys.executable, "-c", LINT, "--no-cache", "--config", "setup.cfg"]
    return subprocess.run(command, cwd=directory, check=False, capture_output=True, text=True, timeout=120)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the package, to do wrong in."""
    shutil.copytree(
        ROOT / "tork_celery", tmp_path / "tork_celery", ignore=shutil.ignore_patterns("__pycache__")
    )
    shutil.copy(ROOT / "setup.cfg", tmp_path)
    return tmp_path


def test_the_contracts_hold() -> None:
    found = lint(ROOT)

    assert found.returncode == 0, found.stdout + found.stderr


@pytest.mark.parametrize(
    ("module", "forbidden", "contract"),
    [
        ("domain/transitions.py", "sqlalchemy", "The domain is pure"),
        ("store/jobs.py", "tork_celery.services.submit", "Imports point down"),
        ("api/jobs.py", "docker", "Only the runtime speaks to the engine"),
    ],
)
def test_a_forbidden_import_is_named(copy: Path, module: str, forbidden: str, contract: str) -> None:
    with (copy / "tork_celery" / module).open("a") as file:
        file.write(f"\nimport {forbidden}\n")

    found = lint(copy)

    importer = "tork_celery." + module.removesuffix(".py").replace("/", ".")
    assert found.returncode == 1
    assert f"{contract} BROKEN" in found.stdout
    assert f"{importer} -> {forbidden}" in found.stdout
