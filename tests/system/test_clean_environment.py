"""The built wheel works with its runtime dependencies alone: no development package is needed."""

import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from tests.system.clean_environment import CleanEnvironment
from tests.system.installation import Installation

IMPORT_ALL = """
import importlib, pkgutil, tork_celery
for module in pkgutil.walk_packages(tork_celery.__path__, "tork_celery."):
    if not module.name.endswith((".__main__", ".migrations.env", ".job_traces")):
        importlib.import_module(module.name)
"""


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> CleanEnvironment:
    return CleanEnvironment(tmp_path_factory.mktemp("clean"))


def run(*command: str | Path, directory: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False, timeout=120)


def test_installed_system_runs_a_job(clean: CleanEnvironment, tmp_path: Path) -> None:
    shell = {"TORK_RUNTIME": "shell", "TORK_SHELL_ALLOW_ROOT": "true"}
    file = tmp_path / "hello.yaml"
    file.write_text("name: hello\nrun: echo hello from the wheel\n")
    installation = Installation(tmp_path / "data", environment=shell, command_dir=clean.command_dir)

    with closing(installation):
        installation.start()
        done = run(
            clean.command_dir / "tork-celery", "run", file, "--url", installation.url, directory=tmp_path
        )

    assert (done.returncode, done.stdout) == (0, "hello from the wheel\n"), done.stderr


def test_every_module_is_importable(clean: CleanEnvironment, tmp_path: Path) -> None:
    done = run(clean.python, "-c", IMPORT_ALL, directory=tmp_path)

    assert (done.returncode, done.stderr) == (0, "")


def test_celeryconfig_at_the_top_level_is_not_installed(clean: CleanEnvironment, tmp_path: Path) -> None:
    done = run(clean.python, "-c", "import celeryconfig", directory=tmp_path)

    assert "No module named 'celeryconfig'" in done.stderr
