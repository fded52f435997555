"""The reference of the command line is what the commands say of themselves."""

import click
import pytest

from scripts.cli_reference import FILE, render, render_completion
from tork_celery.cli import completion_stubs
from tork_celery.cli.command_table import COMMANDS
from tork_celery.cli.exit_codes import ExitCode
from tork_celery.cli.main import cli


def test_reference_is_generated_from_the_commands() -> None:
    assert FILE.read_text() == render(), "run python -m scripts.cli_reference"


def test_table_of_completion_is_generated_from_the_commands() -> None:
    assert completion_stubs.FILE.read_text() == render_completion(), "run python -m scripts.cli_reference"


def test_every_exit_code_is_documented() -> None:
    assert {code for code in ExitCode if f"| {int(code)} | " not in FILE.read_text()} == set()


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_takes_the_global_options(name: str) -> None:
    command = cli.get_command(click.Context(cli), name)

    assert command is not None
    assert {"url", "key", "output", "no_color"} <= {param.name for param in command.params}
