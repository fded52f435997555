"""The command `tork-celery` and its subcommands. The one place that turns errors into an exit code."""

import importlib
import os
import sys

import click
from click.shell_completion import CompletionItem

from tork_celery import __version__
from tork_celery.cli.command_table import COMMANDS, SECTIONS
from tork_celery.cli.options import add_global_options

COMPLETION_VARIABLE = "_TORK_CELERY_COMPLETE"
"""Set by the completion scripts of shells."""


class _Commands(click.Group):
    """The group of all commands. Its help text and its completion import none of them."""

    def list_commands(self, _context: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, _context: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        if COMPLETION_VARIABLE in os.environ:
            from tork_celery.cli import completion_stubs  # noqa: PLC0415  of use for completion only

            return completion_stubs.stub(name)
        module, _colon, attribute = COMMANDS[name][0].partition(":")
        command: click.Command = getattr(
            importlib.import_module(f"tork_celery.cli.commands.{module}"), attribute
        )
        return command

    def format_commands(self, _context: click.Context, formatter: click.HelpFormatter) -> None:
        width = max(map(len, COMMANDS))
        for title, section in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name.ljust(width), summary) for name, (_, summary) in section.items()])

    def shell_complete(self, context: click.Context, incomplete: str) -> list[CompletionItem]:
        commands = [
            CompletionItem(name, help=summary)
            for name, (_, summary) in COMMANDS.items()
            if name.startswith(incomplete)
        ]
        return commands + click.Command.shell_complete(self, context, incomplete)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
@add_global_options
def cli() -> None:
    """Run jobs: workflows in YAML whose steps run in containers, on any number of machines.

    Ids may be shortened to a prefix of 4 characters or more, and @latest is the newest job.
    """


def main() -> None:
    """Run the command line and end the process with its exit code."""
    sys.exit(_exit_code())


def _exit_code() -> int:
    try:
        code = cli.main(prog_name="tork-celery", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return 2
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        return 130
    except BrokenPipeError:  # the reader of our output, `head` say, has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:  # noqa: BLE001  reported, with an exit code of its own
        return _report(error)
    return code if isinstance(code, int) else 0


def _report(error: Exception) -> int:
    import traceback  # noqa: PLC0415

    from tork_celery.cli import exit_codes  # noqa: PLC0415  a command that succeeds needs no errors
    from tork_celery.domain.errors import TorkError  # noqa: PLC0415

    if isinstance(error, TorkError):
        click.echo(f"Error: {error}", err=True)
        return exit_codes.of_error(error)
    traceback.print_exception(error)
    click.echo("Error: this is a bug of tork-celery; please report it with the lines above", err=True)
    return exit_codes.ExitCode.BUG
