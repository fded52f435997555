"""The table of commands agrees with the commands, and the frame imports none of them."""

import subprocess
import sys

import click
import pytest

from tests.cli.conftest import Command
from tork_celery.cli.command_table import COMMANDS
from tork_celery.cli.main import cli


@pytest.mark.parametrize("name", COMMANDS)
def test_summary_is_that_of_a_command(name: str) -> None:
    command = cli.get_command(click.Context(cli), name)

    assert command is not None
    assert command.name == name
    assert command.help


@pytest.mark.parametrize("arguments", [["--help"], ["version"], ["--version"]])
def test_help_and_version_import_only_the_frame(arguments: list[str]) -> None:
    program = "\n".join(
        (
            "import sys",
            f"sys.argv = ['tork-celery', *{arguments!r}]",
            "from tork_celery.cli.main import main",
            "try: main()",
            "except SystemExit as ended: assert ended.code == 0",
            "heavy = {'rich', 'requests', 'celery', 'sqlalchemy', 'marshmallow', 'structlog', 'yaml'}",
            "print(*sorted(heavy & set(sys.modules)), 'done', file=sys.stderr)",
        )
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)

    assert done.stderr == "done\n"


def test_help_lists_every_command(tork: Command) -> None:
    code, printed, _ = tork("--help")

    assert code == 0
    assert {name for name in COMMANDS if f"  {name} " not in printed} == set()
