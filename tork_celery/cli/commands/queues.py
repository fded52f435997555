"""`tork-celery queues`."""

import click

from tork_celery.cli.options import add_global_options, session
from tork_celery.cli.output import Columns

COLUMNS: Columns = {
    "NAME": lambda queue: queue["name"],
    "WAITING": lambda queue: queue["size"],
    "RUNNING": lambda queue: queue["unacked"],
    "NODES": lambda queue: queue["subscribers"],
}


@click.group(invoke_without_command=True)
@add_global_options
@click.pass_context
def queues(context: click.Context) -> None:
    """List queues with their waiting and running tasks and the live nodes that serve them."""
    if context.invoked_subcommand is None:
        session().output.rows(session().client.get("queues"), COLUMNS, name="name")


@queues.command()
@click.argument("name")
@add_global_options
def purge(name: str) -> None:
    """Empty the broker's queue NAME. Waiting tasks are sent again."""
    session().client.act("DELETE", "queues", name)
    session().say(f"purged the queue {name}")
