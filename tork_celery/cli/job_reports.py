"""What `tork-celery run` shows while a job runs: a bar on a terminal, lines elsewhere."""

import sys
from typing import Any, Protocol, Self

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn


class Reporter(Protocol):
    """Shows the progress of a job, and messages."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *_: object) -> None: ...
    def show(self, job: dict[str, Any]) -> None: ...
    def say(self, message: str) -> None: ...


def make_reporter() -> Reporter:
    return BarReporter() if sys.stderr.isatty() else LineReporter()


class LineReporter:
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

    def say(self, message: str) -> None:
        click.echo(message, err=True)

    def _print_change(self, id_: str, title: str, state: str) -> None:
        if self._last_states.get(id_) != state:
            self._last_states[id_] = state
            self.say(f"{title}: {state}")


class BarReporter:
    """Shows a progress bar, for a terminal. Names are shown as they are: brackets in them are no markup."""

    def __init__(self) -> None:
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[active]}", markup=False),
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

    def say(self, message: str) -> None:
        self._progress.console.print(message, markup=False, highlight=False)
