"""`tork-celery show ID`."""

import json
import time
from datetime import datetime

import click
from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from tork_celery import jobfile
from tork_celery.cli import ids
from tork_celery.cli.client import Document
from tork_celery.cli.job_tree import tree_of
from tork_celery.cli.options import add_global_options, session
from tork_celery.cli.output import STATE_STYLES, print_lines
from tork_celery.cli.shown_text import age, now, one_line, run_time
from tork_celery.domain.states import JobState

_EVERY_S = 1.0
_FACTS = (
    ("description", "about"),
    ("createdAt", "submitted"),
    ("parentId", "part of task"),
    ("result", "result"),
)


@click.command()
@click.argument("job_id", metavar="ID")
@click.option("-w", "--watch", "watched", is_flag=True, help="Show the job anew until it has ended.")
@click.option("--definition", is_flag=True, help="Print the job file as JSON, with secrets masked.")
@add_global_options
def show(job_id: str, *, watched: bool, definition: bool) -> None:
    """Show a job and its tasks as a tree, with states, times, waits, errors and results."""
    job_id = ids.job_id(session().client, job_id)
    job = session().client.job(job_id)
    if definition:
        click.echo(json.dumps(jobfile.file_of(job), indent=2, ensure_ascii=False))
    elif session().format != "table":
        session().output.document(_watched(job_id) if watched else job)
    elif watched and session().output.console.is_terminal:
        with Live(_view(job, now()), console=session().output.console, auto_refresh=False) as live:
            while not JobState(job["state"]).ended:
                time.sleep(_EVERY_S)
                job = session().client.job(job_id)
                live.update(_view(job, now()), refresh=True)
    else:
        print_lines(session().output.console, _view(_watched(job_id) if watched else job, now()))


def _watched(job_id: str) -> Document:
    """Return the job when it has ended."""
    while not JobState((job := session().client.job(job_id))["state"]).ended:
        time.sleep(_EVERY_S)
    return job


def _view(job: Document, at: datetime) -> RenderableType:
    """Return the headline of a job, its facts, its tree and the whole errors of its tasks."""
    state = job["state"]
    title = Text.assemble(
        (one_line(job["name"]), "bold"), "  ", (state, STATE_STYLES.get(state, "")), "  ", run_time(job, at)
    )
    facts = [_fact("id", job["id"])]
    for key, label in _FACTS:
        if key in job:
            more = f"  {age(job[key], at)} ago{_creator(job)}" if key == "createdAt" else ""
            facts.append(_fact(label, f"{job[key]}{more}"))
    return Group(title, *facts, Text(), tree_of(job, at), *_errors(job))


def _fact(label: str, text: str) -> Text:
    return Text.assemble((f"{label:<13}", "dim"), _lines(text))


def _creator(job: Document) -> str:
    return f" by {job['createdBy']['username']}" if "createdBy" in job else ""


def _errors(job: Document) -> list[Text]:
    """Return the errors that the tree cuts off, and an error of the job that no task has."""
    errors = {
        task["error"]: task.get("name", "") for task in job["execution"] if "\n" in task.get("error", "")
    }
    shown = [
        Text.assemble("\n", (f"{one_line(name)}: ", "bold"), _lines(text)) for text, name in errors.items()
    ]
    of_tasks = {task.get("error") for task in job["execution"]}
    if job.get("error") and job["error"] not in of_tasks:
        shown.append(Text.assemble("\n", ("error: ", "bold red"), _lines(job["error"])))
    return shown


def _lines(text: str) -> str:
    """Return a text of several lines that is safe for a terminal."""
    return "\n".join(one_line(line) for line in text.rstrip("\n").split("\n"))
