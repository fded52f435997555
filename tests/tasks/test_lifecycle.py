"""A Celery worker that cannot begin says why, and no more."""

import os
import subprocess
import sys
from pathlib import Path


def begin(data_dir: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    environment = {"TORK_BROKER_URL": "redis://127.0.0.1:1", "TORK_DATA_DIR": str(data_dir), **environment}
    return subprocess.run(
        [sys.executable, "-m", "celery", "-A", "tork_celery", "--quiet", "worker"],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **environment},
    )


def test_without_tables_a_worker_does_not_begin(tmp_path: Path) -> None:
    said = begin(tmp_path)

    assert said.returncode != 0
    assert "event=node.not_started" in said.stderr
    assert "run `tork-celery migration`" in said.stderr
    assert "Traceback" not in said.stderr


def test_a_wrong_setting_is_said_in_one_line(tmp_path: Path) -> None:
    said = begin(tmp_path, TORK_HEARTBEAT="two")

    assert (said.returncode, said.stdout) == (1, "")
    assert said.stderr.startswith("Error: TORK_HEARTBEAT: 'two' is not a duration")
    assert said.stderr.count("\n") == 1
