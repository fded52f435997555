"""`tork-celery users` adds and changes users; a password is never an argument."""

import io
from collections.abc import Callable
from pathlib import Path

import pytest

from tork_celery.cli.main import main

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """The command line on a datastore of its own: its exit code, what it prints, and its errors."""
    monkeypatch.setenv("TORK_DATA_DIR", str(tmp_path))

    def run(*arguments: str, stdin: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["tork-celery", *arguments])
        monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
        with pytest.raises(SystemExit) as exited:
            main()
        said = capsys.readouterr()
        return int(exited.value.code or 0), said.out, said.err

    run("migration")
    return run


def test_a_user_is_added_and_listed(command: Command) -> None:
    done = command("users", "add", "ada", "--role", "ops", "--role", "admin", stdin="s3cret\n")

    assert done == (0, "added the user ada\n", "")
    assert command("users", "list") == (0, "ada admin ops\n", "")


def test_without_a_password_there_is_no_user(command: Command) -> None:
    assert command("users", "add", "ada") == (1, "", "Error: password: must not be empty\n")
    assert command("users", "list") == (0, "", "")


def test_a_taken_name_is_refused(command: Command) -> None:
    command("users", "add", "ada", stdin="s3cret")

    assert command("users", "add", "ada", stdin="x") == (1, "", "Error: username: 'ada' is taken\n")


def test_a_key_is_printed_once(command: Command) -> None:
    command("users", "add", "ada", stdin="s3cret")

    code, printed, _ = command("users", "key", "ada")

    assert code == 0
    assert printed.startswith("tork_")
    assert len(printed.strip()) > 40
    assert command("users", "key", "bob") == (1, "", "Error: there is no user 'bob'\n")


def test_a_user_is_changed(command: Command) -> None:
    command("users", "add", "ada", stdin="s3cret")

    assert command("users", "role", "ada", "ops")[0] == 0
    assert command("users", "role", "ada", "devs")[0] == 0
    assert command("users", "role", "ada", "ops", "--remove")[0] == 0
    assert command("users", "password", "ada", stdin="other")[0] == 0
    assert command("users", "disable", "ada")[0] == 0
    assert command("users", "list")[1] == "ada devs (disabled)\n"
    assert command("users", "enable", "ada")[0] == 0
    assert command("users", "list")[1] == "ada devs\n"


def test_without_its_tables_it_says_what_to_do(
    command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TORK_DATASTORE_URL", f"sqlite:///{tmp_path}/other.db")

    code, _, said = command("users", "list")

    assert code == 1
    assert "run `tork-celery migration`" in said
