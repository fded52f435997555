"""The command `tork-celery`, and the one place that turns errors into an exit code."""

import sys

import click

from tork_celery.cli.api import api
from tork_celery.cli.eval import evaluate
from tork_celery.cli.migration import migration
from tork_celery.cli.run import run
from tork_celery.cli.schema import schema
from tork_celery.cli.standalone import standalone
from tork_celery.cli.users import users
from tork_celery.domain.errors import TorkError


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="tork_celery")
def cli() -> None:
    """Run work in containers: jobs in YAML, steps on any number of machines."""


for command in (standalone, run, evaluate, api, migration, schema, users):
    cli.add_command(command)


def main() -> None:
    try:
        cli()
    except TorkError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(1)
