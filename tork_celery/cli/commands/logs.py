"""`tork-celery logs ID [TASK]`."""

import re
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import click

from tork_celery.cli.client import Client, Document
from tork_celery.cli.log_lines import LineAssembler, LogLine
from tork_celery.cli.log_printer import LogPrinter, LogStyle
from tork_celery.cli.log_reader import LogReader
from tork_celery.cli.log_selection import LogSelection, select
from tork_celery.cli.options import add_global_options, session
from tork_celery.domain.states import JobState


@dataclass(frozen=True, slots=True, kw_only=True)
class _Amount:
    """How much of a log is read: all of it or its last lines, and what is added to it."""

    tail: int | None
    follow: bool


@click.command()
@click.argument("id_", metavar="ID")
@click.argument("task", required=False)
@click.option("-f", "--follow", is_flag=True, help="Print what is added until the job has ended.")
@click.option("--tail", type=click.IntRange(0), metavar="N", help="Begin with the last N lines.")
@click.option("-t", "--timestamps", is_flag=True, help="Print the time of each line.")
@click.option("--step", help="Only this step: its name, or its number, from 0.")
@click.option(
    "--attempt", type=click.IntRange(1), metavar="N", help="Only this attempt, from 1.  [default: all]"
)
@click.option("--grep", metavar="REGEX", help="Only lines in which this is found.")
@click.option("--failed", is_flag=True, help="Only tasks that failed.")
@click.option("--no-prefix", is_flag=True, help="Print no names of tasks before lines.")
@add_global_options
def logs(
    id_: str,
    task: str | None,
    *,
    tail: int | None,
    step: str | None,
    attempt: int | None,
    grep: str | None,
    follow: bool,
    timestamps: bool,
    failed: bool,
    no_prefix: bool,
) -> None:
    """Print the log of a job, or of one task of it.

    ID is a job, or a task. TASK is the name, the var or the id of a task of the job.
    """
    client = session().client
    pattern = _pattern(grep)
    selection = select(client, id_, task, attempt=attempt, step=step, failed=failed)
    reader = LogReader(client, "jobs", selection.job_id, "log", wanted=selection.wants)
    parts = _read(client, reader, selection, _Amount(tail=tail, follow=follow))
    if session().format != "table":
        session().output.rows(parts, {})
        return
    names = None if no_prefix or len(selection.names) == 1 else selection.names
    style = LogStyle(names=names, timestamps=timestamps, grep=pattern)
    printer = LogPrinter(session().output.console, style)
    for line in _lines(parts, tail=None if follow else tail):
        printer.print(line)


def _pattern(grep: str | None) -> re.Pattern[str] | None:
    try:
        return None if grep is None else re.compile(grep)
    except re.error as error:
        raise click.BadParameter(f"--grep {grep}: {error}") from None


def _read(client: Client, reader: LogReader, selection: LogSelection, amount: _Amount) -> Iterator[Document]:
    yield from reader.whole() if amount.tail is None else reader.end(lines=amount.tail)
    if amount.follow:
        yield from reader.follow(
            lambda: _has_ended(client, selection),
            on_outage=lambda error: session().say(f"trying again until the API answers: {error}"),
        )


def _has_ended(client: Client, selection: LogSelection) -> bool:
    """Return whether the job has ended. Learns the names of the tasks that were added meanwhile."""
    job = client.job(selection.job_id)
    selection.learn(job)
    return JobState(job["state"]).ended


def _lines(parts: Iterable[Document], *, tail: int | None) -> Iterable[LogLine]:
    """Return the lines of the parts, or the last ones."""
    assembler = LineAssembler()

    def lines() -> Iterator[LogLine]:
        yield from assembler.lines(parts)
        yield from assembler.rest()

    return lines() if tail is None else deque(lines(), maxlen=tail)
