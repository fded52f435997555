"""`tork-celery config`."""

import os
from dataclasses import asdict

import click

from tork_celery import settings, settings_report
from tork_celery.cli.options import add_global_options, session
from tork_celery.cli.output import Columns

_COLUMNS: Columns = {
    "NAME": lambda setting: setting["name"],
    "VALUE": lambda setting: setting["value"],
    "FROM": lambda setting: setting["source"],
}


@click.command()
@click.option("--remote", is_flag=True, help="The settings of the API at --url, for admins.")
@add_global_options
def config(*, remote: bool) -> None:
    """Show the settings that processes started here would have, and where each comes from.

    Secrets are masked.
    """
    if remote:
        rows = session().client.get("config")
    else:
        rows = [asdict(each) for each in settings_report.report(settings.load(), os.environ)]
    session().output.rows(rows, _COLUMNS, name="name")
