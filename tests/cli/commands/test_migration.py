"""`tork-celery migration` creates the schema of the datastore."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

pytestmark = pytest.mark.slow  # each test starts processes


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

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("Error: TORK_LEASE: 'ten' is not a duration")
    assert "Traceback" not in done.stderr


def test_api_does_not_start_without_a_migrated_datastore(tmp_path: Path) -> None:
    done = tork_celery("api", data_dir=tmp_path)

    assert done.returncode == 2
    assert "run `tork-celery migration`" in done.stderr


def test_secrets_are_encrypted_with_a_new_key(tmp_path: Path) -> None:
    keys = [Fernet.generate_key().decode() for _ in range(2)]
    tork_celery("migration", data_dir=tmp_path, TORK_SECRET_KEY=keys[0])

    missing = tork_celery("migration", data_dir=tmp_path, TORK_SECRET_KEY=keys[1])
    rotated = tork_celery("migration", "--rotate", data_dir=tmp_path, TORK_SECRET_KEY=",".join(keys[::-1]))
    after = tork_celery("migration", data_dir=tmp_path, TORK_SECRET_KEY=keys[1])

    assert missing.returncode == 2
    assert "add it to TORK_SECRET_KEY" in missing.stderr
    assert rotated.stdout.splitlines()[-1] == "encrypted the secrets of 0 rows with the newest key"
    assert after.returncode == 0
    assert not (tmp_path / "tork.db.key").exists()


def test_key_file_is_created_beside_sqlite(tmp_path: Path) -> None:
    tork_celery("migration", data_dir=tmp_path)

    assert (tmp_path / "tork.db.key").stat().st_mode & 0o777 == 0o600


def test_invalid_secret_key_is_rejected_without_showing_it(tmp_path: Path) -> None:
    done = tork_celery("migration", data_dir=tmp_path, TORK_SECRET_KEY="hush hush")

    assert done.returncode == 2
    assert "TORK_SECRET_KEY: a key is 32 random bytes in base64" in done.stderr
    assert "hush" not in done.stderr
