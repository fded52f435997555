"""`tork-celery nodes`."""

import click

from tork_celery.cli.options import add_global_options, session
from tork_celery.cli.output import Columns
from tork_celery.cli.shown_text import age, now


@click.command()
@add_global_options
def nodes() -> None:
    """List the processes of the system: workers, coordinators and API."""
    session().output.rows(session().client.get("nodes"), columns(), name="name")


def columns() -> Columns:
    at = now()
    return {
        "NAME": lambda node: node["name"],
        "STATUS": lambda node: node["status"],
        "QUEUES": lambda node: node.get("queue", ""),
        "TASKS": lambda node: node["taskCount"],
        "CPU": lambda node: f"{node['cpuPercent']:.0f} %",
        "UP": lambda node: age(node["startedAt"], at),
        "HEARTBEAT": lambda node: age(node["lastHeartbeatAt"], at),
        "VERSION": lambda node: node["version"],
    }
