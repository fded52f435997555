"""`tork-celery jobs`."""

import click

from tork_celery.cli.client import Document
from tork_celery.cli.job_columns import job_columns
from tork_celery.cli.options import add_global_options, session
from tork_celery.cli.queries import add_query_option, job_query, parse_since
from tork_celery.cli.watch import watch

_STATES = ("PENDING", "SCHEDULED", "RUNNING", "COMPLETED", "FAILED", "CANCELLED")


@click.command()
@add_query_option
@click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice(_STATES, case_sensitive=False),
    help="Only jobs in this state; repeatable.",
)
@click.option("--tag", "tags", multiple=True, help="Only jobs with this tag; repeatable.")
@click.option("--since", help="Only jobs submitted since: a duration such as 2h, or a date or time.")
@click.option(
    "-n", "--number", default=20, show_default=True, type=click.IntRange(1), help="Jobs to list at most."
)
@click.option("-w", "--watch", "watched", is_flag=True, help="Show the list anew when it changes.")
@add_global_options
def jobs(
    query: str,
    states: tuple[str, ...],
    tags: tuple[str, ...],
    since: str | None,
    number: int,
    *,
    watched: bool,
) -> None:
    """List jobs, newest first."""
    filters = {"q": job_query(query, states, tags), "since": parse_since(since)}

    def read() -> list[Document]:
        return session().client.newest("jobs", limit=number, **filters)

    if watched:
        watch(session(), read, job_columns)
    else:
        session().output.rows(read(), job_columns())
