"""Commands that need no server."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli.conftest import Command
from tests.store.stores import sqlite_url


def test_faults_are_printed_with_line_and_column(tork: Command, tmp_path: Path) -> None:
    bad, good = tmp_path / "bad.yaml", tmp_path / "good.yaml"
    bad.write_text("name: j\ntasks:\n  - {name: t, image: [i]}\n")
    good.write_text("name: t\nimage: i\n")

    code, printed, _ = tork("validate", str(bad), str(good))

    assert code == 2
    assert printed.startswith(f"{bad}:3:15: tasks[0].image: expected a string")
    assert printed.count("\n") == 1
    assert tork("validate", str(good)) == (0, "", "no faults\n")
    [fault] = json.loads(tork("validate", str(bad), "-o", "json")[1])
    assert (fault["file"], fault["line"], fault["column"]) == (str(bad), 3, 15)


def test_missing_file_is_a_usage_error(tork: Command, tmp_path: Path) -> None:
    code, _, errors = tork("validate", str(tmp_path / "none.yaml"))

    assert code == 2
    assert "No such file" in errors


def test_settings_are_shown_with_their_source(tork: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORK_LEASE", "20s")

    rows = [line.split() for line in tork("config")[1].splitlines()]

    assert ["TORK_LEASE", "20s", "environment"] in rows
    assert ["TORK_HEARTBEAT", "2", "default"] in rows


def test_backup_is_a_private_copy(tork: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORK_DATASTORE_URL", sqlite_url(tmp_path))
    file = tmp_path / "copy.db"

    code, _, errors = tork("backup", str(file))

    assert (code, errors) == (0, f"copied the datastore to {file}, {file.stat().st_size / 2**20:.1f} MiB\n")
    assert file.stat().st_mode & 0o777 == 0o600
    with closing(sqlite3.connect(file)) as copy:
        assert copy.execute("SELECT count(*) FROM jobs").fetchone() == (0,)
    assert tork("backup", str(file))[0] == 2


def test_backup_of_postgresql_names_its_program(tork: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORK_DATASTORE_URL", "postgresql://host/name")

    code, _, errors = tork("backup", "x")

    assert code == 2
    assert "pg_dump" in errors
