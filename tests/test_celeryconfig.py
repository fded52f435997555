"""Celery loads our configuration, from any working directory."""

import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from celery.beat import Scheduler

import celeryconfig as reexported
from tork_celery import celeryconfig
from tork_celery.bootstrap.broker import build_celery_app


def report(directory: Path) -> str:
    """Run `celery report` in the directory; it prints the settings of the app."""
    done = subprocess.run(
        [sys.executable, "-m", "celery", "-A", "tork_celery", "report"],
        cwd=directory,
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "TORK_DATA_DIR": str(directory)},
    )
    return done.stdout


@pytest.mark.slow
def test_foreign_celeryconfig_in_the_working_directory_is_not_loaded(tmp_path: Path) -> None:
    (tmp_path / "celeryconfig.py").write_text("task_acks_late = False\ntask_default_queue = 'foreign'\n")

    settings = report(tmp_path)

    assert "task_acks_late: True" in settings
    assert "worker_prefetch_multiplier: 1" in settings
    assert "foreign" not in settings


def test_celeryconfig_at_the_top_level_has_every_setting() -> None:
    names = [name for name in vars(celeryconfig) if not name.startswith("_") and name.islower()]

    assert "task_acks_late" in names
    assert {name for name in names if getattr(reexported, name) != getattr(celeryconfig, name)} == set()


def test_beat_has_nothing_to_send() -> None:
    with closing(build_celery_app()) as app:
        assert Scheduler(app).schedule == {}
