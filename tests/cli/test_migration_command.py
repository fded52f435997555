"""`tork-celery migration` makes the datastore, and says where it is."""

import os
import subprocess
import sys
from pathlib import Path


def command(*arguments: str, data_dir: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tork_celery.cli", *arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "TORK_DATA_DIR": str(data_dir), **environment},
    )


def test_the_datastore_is_made(tmp_path: Path) -> None:
    done = command("migration", data_dir=tmp_path / "data")

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("the datastore is at ")
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700


def test_a_wrong_setting_is_said_in_one_line(tmp_path: Path) -> None:
    done = command("migration", data_dir=tmp_path, TORK_LEASE="ten")

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: TORK_LEASE: 'ten' is not a duration")
    assert "Traceback" not in done.stderr


def test_the_api_does_not_begin_without_its_tables(tmp_path: Path) -> None:
    done = command("api", data_dir=tmp_path)

    assert done.returncode == 1
    assert "run `tork-celery migration`" in done.stderr
