"""`tork-celery migration` creates the schema of the datastore."""

import os
import subprocess
import sys
from pathlib import Path


def tork_celery(*arguments: str, data_dir: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tork_celery.cli", *arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "TORK_DATA_DIR": str(data_dir), **environment},
    )


def test_datastore_is_created(tmp_path: Path) -> None:
    done = tork_celery("migration", data_dir=tmp_path / "data")

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("the datastore is at revision ")
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700


def test_invalid_setting_is_reported_in_one_line(tmp_path: Path) -> None:
    done = tork_celery("migration", data_dir=tmp_path, TORK_LEASE="ten")

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: TORK_LEASE: 'ten' is not a duration")
    assert "Traceback" not in done.stderr


def test_api_does_not_start_without_a_migrated_datastore(tmp_path: Path) -> None:
    done = tork_celery("api", data_dir=tmp_path)

    assert done.returncode == 1
    assert "run `tork-celery migration`" in done.stderr
