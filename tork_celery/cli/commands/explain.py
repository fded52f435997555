"""`tork-celery explain ID`."""

from collections.abc import Iterable, Iterator
from datetime import datetime

import click
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tork_celery.cli import ids
from tork_celery.cli.client import Client, Document
from tork_celery.cli.options import add_global_options, session
from tork_celery.cli.output import STATE_STYLES, print_lines
from tork_celery.cli.shown_text import age, duration, now, one_line, parse_time
from tork_celery.domain.errors import NotFound
from tork_celery.domain.states import ACTIVE

_MOST_TASKS = 20


@click.command()
@click.argument("id_", metavar="ID")
@add_global_options
def explain(id_: str) -> None:
    """Say what a task waits for or does, and what it did with its time so far.

    ID is a task, or a job. Of a job, the active tasks are explained; of one that has ended, all tasks, 20 at
    most.
    """
    client = session().client
    found = [
        task | {"explanation": client.get("tasks", task["id"], "explain")} for task in _tasks(client, id_)
    ]
    if session().format != "table":
        session().output.rows([_row(task) for task in found], {}, name="taskId")
        return
    at = now()
    for task in found:
        print_lines(session().output.console, _view(task, at))


def _tasks(client: Client, text: str) -> Iterable[Document]:
    """Return the tasks that a text means."""
    try:
        execution = client.job(ids.job_id(client, text))["execution"]
    except NotFound as error:
        try:
            return [client.get("tasks", ids.task_id(client, text))]
        except NotFound:
            raise error from None
    active = [task for task in execution if task["state"] in ACTIVE]
    return (active or execution)[:_MOST_TASKS]


def _row(task: Document) -> Document:
    return {"taskId": task["id"], "name": task.get("name", ""), **task["explanation"]}


def _view(task: Document, at: datetime) -> RenderableType:
    explanation = task["explanation"]
    state = explanation["state"]
    title = Text.assemble(
        (one_line(task.get("name") or task["id"]), "bold"), "  ", (state, STATE_STYLES.get(state, ""))
    )
    if "since" in explanation:
        title.append(f"  for {age(explanation['since'], at)}" if state in ACTIVE else "")
    table = Table.grid(padding=(0, 2, 0, 0))
    for row in _segments(explanation.get("segments", ())):
        table.add_row(*row)
    return Group(title, Text(f"  {one_line(explanation.get('reason', ''))}"), table, Text())


def _segments(segments: Iterable[Document]) -> Iterator[tuple[str, Text, Text]]:
    """Yield the kind, the time and the reason of each segment."""
    for segment in segments:
        took_s = (parse_time(segment["to"]) - parse_time(segment["from"])).total_seconds()
        reason = Text(one_line(segment.get("reason", "")), style="dim")
        yield f"  {segment['kind'].replace('_', ' ')}", Text(duration(took_s), justify="right"), reason
