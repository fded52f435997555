"""What standalone mode says: a few lines for people on a terminal, records anywhere else."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import click
import structlog

from tork_celery import __version__
from tork_celery.store import Database, tasks

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class StartReport:
    """The facts of a start. `resumed` says what was found in the datastore; it is empty for nothing."""

    url: str
    queues: Mapping[str, int]
    engine: str
    data_dir: Path
    resumed: str

    @property
    def ready(self) -> str:
        served = ", ".join(f"{name}:{slots}" for name, slots in self.queues.items())
        return f"ready: listening on {self.url}, serving {served}"


class Reporter:
    """Reports what standalone mode does: with `human` as plain lines, else as records of the log."""

    def __init__(self, *, human: bool) -> None:
        self._human = human

    def say(self, message: str) -> None:
        """Report an event, such as the restart of a process that died."""
        if self._human:
            click.echo(f"tork-celery: {message}", err=True)
        else:
            log.info("standalone.event", message=message)

    def started(self, report: StartReport) -> None:
        """Report that the system is ready."""
        if not self._human:
            self._record(report)
            return
        rows = {
            "API": f"{report.url}  (docs at {report.url}/docs)",
            "queues": ", ".join(f"{name} with {_slots(slots)}" for name, slots in report.queues.items()),
            "engine": report.engine,
            "data": str(report.data_dir),
            "resumed": report.resumed,
        }
        click.echo(click.style(f"tork-celery {__version__}", bold=True), err=True)
        for title, text in rows.items():
            if text:
                click.echo(f"  {click.style(f'{title:<9}', dim=True)}{text}", err=True)
        click.echo(click.style(report.ready, fg="green") + "; stop with Ctrl-C", err=True)

    def _record(self, report: StartReport) -> None:
        log.info(
            "standalone.ready",
            message=report.ready,
            version=__version__,
            engine=report.engine,
            data_dir=str(report.data_dir),
            resumed=report.resumed or "nothing",
        )


def is_human(log_format: str) -> bool:
    """Return whether a format of the log is for people."""
    return log_format == "human" or (log_format == "auto" and sys.stderr.isatty())


def resumed_tasks(database: Database) -> str:
    """Return what is left of an earlier run: the numbers of waiting and of running tasks; "" for none."""
    with database.reading() as tx:
        counts = list(tasks.count_by_queue(tx).values())
    waiting, running = sum(number for number, _ in counts), sum(number for _, number in counts)
    return f"{running} running and {waiting} waiting tasks" if waiting or running else ""


def _slots(number: int) -> str:
    return f"{number} slot" if number == 1 else f"{number} slots"
