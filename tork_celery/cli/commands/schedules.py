"""`tork-celery schedules`."""

from pathlib import Path

import click

from tork_celery.cli.job_files import read_source
from tork_celery.cli.options import add_global_options, session
from tork_celery.cli.output import Columns

_ROUTE = "scheduled-jobs"
_COLUMNS: Columns = {
    "ID": lambda schedule: schedule["id"],
    "STATE": lambda schedule: schedule["state"],
    "CRON": lambda schedule: schedule["cron"],
    "NEXT RUN": lambda schedule: schedule.get("nextRunAt", ""),
    "NAME": lambda schedule: schedule["name"],
}


@click.group(invoke_without_command=True)
@add_global_options
@click.pass_context
def schedules(context: click.Context) -> None:
    """List schedules, newest first; add, run, pause, resume or delete them."""
    if context.invoked_subcommand is None:
        session().output.rows(session().client.pages(_ROUTE, size=20), _COLUMNS)


@schedules.command()
@click.argument("file", type=click.Path(path_type=Path))
@add_global_options
def add(file: Path) -> None:
    """Add the schedule of a job file with the key `schedule`, and print its id. `-` is stdin."""
    source = read_source(file)
    stored = session().client.send("POST", _ROUTE, body=source.body, media_type=source.media_type)
    session().output.document(stored, plain=stored["id"])


@schedules.command()
@click.argument("schedule_id", metavar="ID")
@add_global_options
def pause(schedule_id: str) -> None:
    """Pause a schedule."""
    _act("PUT", schedule_id, "pause")


@schedules.command()
@click.argument("schedule_id", metavar="ID")
@add_global_options
def resume(schedule_id: str) -> None:
    """Resume a paused schedule."""
    _act("PUT", schedule_id, "resume")


@schedules.command()
@click.argument("schedule_id", metavar="ID")
@add_global_options
def rm(schedule_id: str) -> None:
    """Delete a schedule. The jobs that it has made stay."""
    _act("DELETE", schedule_id)


@schedules.command()
@click.argument("schedule_id", metavar="ID")
@add_global_options
def run(schedule_id: str) -> None:
    """Make a job of a schedule now, also while it is paused, and print the job's id."""
    job = _act("POST", schedule_id, "run")
    session().output.document(job, plain=job["id"])


def _act(method: str, text: str, *action: str) -> dict[str, str]:
    from tork_celery.cli import ids  # noqa: PLC0415  a list needs no ids

    schedule_id = ids.schedule_id(session().client, text)
    answer: dict[str, str] = session().client.act(method, _ROUTE, schedule_id, *action)
    session().say(f"{' '.join(action) or 'deleted'}: {schedule_id}")
    return answer
