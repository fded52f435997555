"""`tork-celery health`."""

import click

from tork_celery.cli.exit_codes import ExitCode
from tork_celery.cli.options import add_global_options, session


@click.command()
@add_global_options
def health() -> int:
    """Say whether the system is up, else which part is down. Exits with 6 if one is."""
    found = session().client.health()
    if session().format == "table":
        click.echo(found["status"])
        for part, reason in found.get("down", {}).items():
            click.echo(f"{part}: {reason}")
    else:
        session().output.document(found, name="status")
    return ExitCode.DONE if found["status"] == "UP" else ExitCode.UNREACHABLE
