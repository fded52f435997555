"""`tork-celery version`."""

import click

from tork_celery import __version__
from tork_celery.cli.options import add_global_options


@click.command()
@add_global_options
def version() -> None:
    """Print the version."""
    click.echo(f"tork-celery {__version__}")
