"""The command `tork-celery` and its subcommands. The one place that turns errors into an exit code."""

import importlib
import sys

import click

from tork_celery import log_config
from tork_celery.domain.errors import TorkError

_COMMANDS = {
    "api": "api:api",
    "audit": "audit:audit",
    "eval": "eval:evaluate",
    "migration": "migration:migration",
    "run": "run:run",
    "schema": "schema:schema",
    "standalone": "standalone:standalone",
    "users": "users:users",
}
"""Module and function of each command. A module is imported only when its command runs: importing all of
them takes a second, and standalone mode starts four processes."""


class _Commands(click.Group):
    def list_commands(self, _context: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, _context: click.Context, name: str) -> click.Command | None:
        if name not in _COMMANDS:
            return None
        module, _colon, attribute = _COMMANDS[name].partition(":")
        command: click.Command = getattr(importlib.import_module(f"tork_celery.cli.{module}"), attribute)
        return command


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="tork_celery")
def cli() -> None:
    """Run jobs: workflows in YAML whose steps run in containers, on any number of machines."""


def main() -> None:
    log_config.configure("WARNING")  # on stderr; long-running commands configure their own level
    try:
        cli()
    except TorkError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(1)
