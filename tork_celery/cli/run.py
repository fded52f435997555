"""`tork-celery run FILE`: submit a job or a task and follow it."""

import os
import sys
import time
from pathlib import Path
from typing import Any

import click

from tork_celery import jobfile
from tork_celery.cli.client import Client
from tork_celery.cli.job_reports import Reporter, make_reporter
from tork_celery.domain.errors import Unavailable
from tork_celery.domain.states import JobState
from tork_celery.services.long_poll import POLL_BACKOFF


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--url",
    envvar="TORK_URL",
    default="http://127.0.0.1:3000",
    show_default=True,
    help="Address of the API.",
)
def run(file: Path, url: str) -> None:
    """Submit a job or a task; show its progress and print its result.

    Exits with 0 when it completes, otherwise with 1.
    """
    body = file.read_bytes()
    media_type = jobfile.media_type_of(file.name)
    kind = jobfile.parse_file(body, media_type, image_required=False).kind
    client = Client(url, environment=os.environ)
    try:
        submitted = client.submit(kind, body, media_type)
        job_id = submitted["jobId"] if kind == "task" else submitted["id"]
        with make_reporter() as reporter:
            job = _follow(client, job_id, reporter)
    finally:
        client.close()
    if job["state"] != JobState.COMPLETED:
        click.echo(f"{job['state']}: {job.get('error', '')}", err=True)
        sys.exit(1)
    result = job["execution"][-1].get("result") if kind == "task" else job.get("result")
    if result:
        click.echo(result, nl=not result.endswith("\n"))


def _follow(client: Client, job_id: str, reporter: Reporter) -> dict[str, Any]:
    """Show the job until it has ended, and return it. An API that does not answer is asked again."""
    away = False
    pauses_s = POLL_BACKOFF.delays_s()
    while True:
        try:
            job = client.job(job_id)
        except Unavailable as error:
            if not away:
                reporter.say(f"trying again until the API answers about the job {job_id}: {error}")
            away = True
        else:
            if away:
                reporter.say(f"{client.url} answers again")
            away = False
            reporter.show(job)
            if JobState(job["state"]).ended:
                return job
        time.sleep(next(pauses_s))
