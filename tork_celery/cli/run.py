"""`tork-celery run FILE`: submit a job or a task and follow it."""

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol, Self

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from tork_celery import jobfile
from tork_celery.cli.client import Client
from tork_celery.cli.credentials import credentials
from tork_celery.domain.states import JobState
from tork_celery.services.long_poll import POLL_BACKOFF


class Reporter(Protocol):
    """Shows the progress of a job."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *_: object) -> None: ...
    def show(self, job: dict[str, Any]) -> None: ...


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
    client = Client(url, auth=credentials(os.environ))
    try:
        submitted = client.submit(kind, body, media_type)
        job_id = submitted["jobId"] if kind == "task" else submitted["id"]
        with _reporter() as reporter:
            for job in _poll_until_ended(client, job_id):
                reporter.show(job)
    finally:
        client.close()
    if job["state"] != JobState.COMPLETED:
        click.echo(f"{job['state']}: {job.get('error', '')}", err=True)
        sys.exit(1)
    result = job["execution"][-1].get("result") if kind == "task" else job.get("result")
    if result:
        click.echo(result, nl=not result.endswith("\n"))


def _poll_until_ended(client: Client, job_id: str) -> Iterator[dict[str, Any]]:
    """Yield the job at each poll until it has ended."""
    for pause_s in POLL_BACKOFF.delays_s():
        job = client.job(job_id)
        yield job
        if JobState(job["state"]).ended:
            return
        time.sleep(pause_s)


def _reporter() -> Reporter:
    return _BarReporter() if sys.stderr.isatty() else _LineReporter()


class _LineReporter:
    """Prints one line for each change of state, for logs."""

    def __init__(self) -> None:
        self._last_states: dict[str, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def show(self, job: dict[str, Any]) -> None:
        for task in job["execution"]:
            self._print_change(task["id"], f"task {task.get('name', task['id'])}", task["state"])
        self._print_change(job["id"], f"job {job['id']}", job["state"])

    def _print_change(self, id_: str, title: str, state: str) -> None:
        if self._last_states.get(id_) != state:
            self._last_states[id_] = state
            click.echo(f"{title}: {state}", err=True)


class _BarReporter:
    """Shows a progress bar, for a terminal."""

    def __init__(self) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[active]}"),
            TimeElapsedColumn(),
            console=Console(stderr=True),
        )
        self._bar = self._progress.add_task("job", total=100, active="")

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, job: dict[str, Any]) -> None:
        active = [t.get("name", t["id"]) for t in job["execution"] if t["state"] in ("SCHEDULED", "RUNNING")]
        self._progress.update(
            self._bar,
            description=job["name"],
            completed=job.get("progress", 0),
            active=", ".join(active) or job["state"],
        )
