"""`tork-celery top`."""

import time

import click
from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from tork_celery.cli.commands.nodes import columns as node_columns
from tork_celery.cli.commands.queues import COLUMNS as QUEUE_COLUMNS
from tork_celery.cli.job_columns import job_columns
from tork_celery.cli.options import add_global_options, session
from tork_celery.cli.output import print_lines, table_of

_EVERY_S = 2.0
_ACTIVE = "status:running status:scheduled status:pending"


@click.command()
@click.option("-n", "--number", default=15, show_default=True, type=click.IntRange(1), help="Jobs to show.")
@click.option("--once", is_flag=True, help="Print once and end.")
@add_global_options
def top(number: int, *, once: bool) -> None:
    """Watch queues, nodes and active jobs, until Ctrl-C."""
    console = session().output.console
    if once or not console.is_terminal:
        print_lines(console, _view(number))
        return
    with Live(_view(number), console=console, screen=True, auto_refresh=False) as live:
        while True:
            live.update(_view(number), refresh=True)
            time.sleep(_EVERY_S)


def _view(number: int) -> RenderableType:
    client, short = session().client, session().output.console.is_terminal
    jobs = client.newest("jobs", limit=number, q=_ACTIVE)
    health = client.health()
    return Group(
        Text.assemble(("tork-celery  ", "bold"), client.url, "  ", health["status"]),
        Text(),
        table_of(client.get("queues"), QUEUE_COLUMNS, short=short),
        Text(),
        table_of(client.get("nodes"), node_columns(), short=short),
        Text(),
        table_of(jobs, job_columns(), short=short),
    )
