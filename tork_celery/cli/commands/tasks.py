"""`tork-celery tasks`."""

import click

from tork_celery.cli import ids
from tork_celery.cli.job_columns import task_columns
from tork_celery.cli.options import add_global_options, session

_STATES = [
    "CREATED",
    "PENDING",
    "SCHEDULED",
    "RUNNING",
    "COMPLETED",
    "FAILED",
    "CANCELLED",
    "STOPPED",
    "SKIPPED",
]


@click.command()
@click.option("--state", type=click.Choice(_STATES, case_sensitive=False), help="Only tasks in this state.")
@click.option("--queue", help="Only tasks of this queue.")
@click.option("--job", metavar="ID", help="Only tasks of this job.")
@click.option(
    "-n", "--number", default=20, show_default=True, type=click.IntRange(1), help="Tasks to list at most."
)
@add_global_options
def tasks(state: str | None, queue: str | None, job: str | None, number: int) -> None:
    """List tasks, those of the newest jobs first."""
    client = session().client
    job_id = None if job is None else ids.job_id(client, job)
    found = client.newest("tasks", limit=number, state=state, queue=queue, job=job_id)
    session().output.rows(found, task_columns())
