"""`tork-celery users` adds and changes users; passwords are read from stdin."""

import getpass
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tork_celery.cli.main import main

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Return a function that runs a command on a new datastore: its exit code, stdout and stderr."""
    monkeypatch.setenv("TORK_DATA_DIR", str(tmp_path))

    def run(*arguments: str, stdin: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["tork-celery", *arguments])
        monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
        with pytest.raises(SystemExit) as exited:
            main()
        output = capsys.readouterr()
        return int(exited.value.code or 0), output.out, output.err

    run("migration")
    return run


def test_added_user_is_listed_with_roles(command: Command) -> None:
    done = command("users", "add", "ada", "--role", "ops", "--role", "admin", stdin="s3cret\n")

    assert done == (0, "added the user ada\n", "")
    assert command("users", "list") == (0, "ada admin ops\n", "")


def test_empty_password_is_rejected(command: Command) -> None:
    assert command("users", "add", "ada") == (2, "", "Error: password: must not be empty\n")
    assert command("users", "list") == (0, "", "")


def test_taken_name_is_rejected(command: Command) -> None:
    command("users", "add", "ada", stdin="s3cret")

    assert command("users", "add", "ada", stdin="x") == (2, "", "Error: username: 'ada' is taken\n")


def test_new_key_is_printed(command: Command) -> None:
    command("users", "add", "ada", stdin="s3cret")

    code, printed, _ = command("users", "key", "ada")

    assert code == 0
    assert printed.startswith("tork_")
    assert len(printed.strip()) > 40
    assert command("users", "key", "bob") == (5, "", "Error: no user named 'bob'\n")


def test_roles_password_and_access_are_changed(command: Command) -> None:
    command("users", "add", "ada", stdin="s3cret")

    assert command("users", "role", "ada", "ops") == (0, "added the role ops to ada\n", "")
    assert command("users", "role", "ada", "devs")[0] == 0
    removed = command("users", "role", "ada", "ops", "--remove")
    assert removed == (0, "removed the role ops from ada\n", "")
    assert command("users", "password", "ada", stdin="other")[0] == 0
    assert command("users", "disable", "ada")[0] == 0
    assert command("users", "list")[1] == "ada devs (disabled)\n"
    assert command("users", "enable", "ada")[0] == 0
    assert command("users", "list")[1] == "ada devs\n"


def test_unmigrated_datastore_is_reported_with_the_command_to_run(
    command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TORK_DATASTORE_URL", f"sqlite:///{tmp_path}/other.db")

    code, _, errors = command("users", "list")

    assert code == 2
    assert "run `tork-celery migration`" in errors


def test_changes_are_in_the_audit_log(command: Command) -> None:
    command("users", "add", "ada", "--role", "ops", stdin="s3cret")
    command("users", "disable", "ada")

    code, printed, _ = command("audit", "-n", "2")

    assert code == 0
    actions = [line.split("  ")[3:] for line in printed.splitlines()]
    assert actions == [["user.disable", "ada"], ["user.role.grant", "ada", "ops"]]
    newest = json.loads(command("audit", "--json")[1].splitlines()[0])
    assert newest["action"] == "user.disable"
    assert newest["username"] is None
    assert newest["address"] == f"local:{getpass.getuser()}"
