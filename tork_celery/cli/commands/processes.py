"""`tork-celery worker` and `tork-celery coordinator`: shorter names of Celery commands."""

import os
import shlex
import sys

import click

from tork_celery.cli.options import add_global_options
from tork_celery.domain.queue_names import CONTROL_QUEUE, DEFAULT_QUEUE

_CELERY = ("celery", "-A", "tork_celery")
_COORDINATOR_THREADS = 4


@click.command()
@click.option(
    "-Q",
    "--queues",
    default=DEFAULT_QUEUE,
    show_default=True,
    metavar="NAME,...",
    help="Queues to serve.",
)
@click.option(
    "-c", "--slots", type=click.IntRange(1), help="Steps that run at the same time.  [default: one per core]"
)
@add_global_options
def worker(queues: str, slots: int | None) -> None:
    """Run a worker. Prints the Celery command that it stands for."""
    _become(["worker", "-Q", queues, "-c", str(slots or os.cpu_count() or 1)])


@click.command()
@add_global_options
def coordinator() -> None:
    """Run a coordinator. Prints the Celery command that it stands for."""
    _become(["worker", "-Q", CONTROL_QUEUE, "-c", str(_COORDINATOR_THREADS)])


def _become(arguments: list[str]) -> None:
    """Replace this process by Celery's. Does not return."""
    click.echo(shlex.join([*_CELERY, *arguments]), err=True)
    sys.stderr.flush()
    os.execv(sys.executable, [sys.executable, "-P", "-m", *_CELERY, *arguments])  # noqa: S606  no shell
