"""A worker that cannot start says why, without a traceback."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from structlog.testing import capture_logs

from tork_celery.tasks import lifecycle


def start_worker(data_dir: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    environment = {"TORK_BROKER_URL": "redis://127.0.0.1:1", "TORK_DATA_DIR": str(data_dir), **environment}
    return subprocess.run(
        [sys.executable, "-m", "celery", "-A", "tork_celery", "--quiet", "worker"],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **environment},
    )


@pytest.mark.slow
def test_worker_does_not_start_without_a_migration(tmp_path: Path) -> None:
    done = start_worker(tmp_path)

    assert done.returncode != 0
    assert "event=node.not_started" in done.stderr
    assert "run `tork-celery migration`" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_invalid_setting_is_reported_in_one_line(tmp_path: Path) -> None:
    done = start_worker(tmp_path, TORK_HEARTBEAT="two")

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: TORK_HEARTBEAT: 'two' is not a duration")
    assert done.stderr.count("\n") == 1


def test_bug_at_the_start_ends_the_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Celery would log it and run on, without a node."""

    def fail(_instance: object) -> None:
        raise ValueError("a bug")

    monkeypatch.setattr(lifecycle, "_start", fail)

    with capture_logs() as records, pytest.raises(SystemExit) as exited:
        lifecycle.start(SimpleNamespace(hostname="default@here"))

    assert exited.value.code == 1
    assert [record["event"] for record in records] == ["node.not_started"]
