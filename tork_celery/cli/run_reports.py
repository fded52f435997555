"""What `tork-celery run` shows while a job runs: a tree and its logs on a terminal, lines elsewhere."""

import sys
from collections.abc import Iterable
from typing import Protocol, Self

import click
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from tork_celery.cli.client import Document
from tork_celery.cli.follower import Change
from tork_celery.cli.job_tree import tree_of
from tork_celery.cli.log_lines import LineAssembler, LogLine
from tork_celery.cli.log_printer import LogPrinter, LogStyle
from tork_celery.cli.output import STATE_STYLES, make_console
from tork_celery.cli.shown_text import now, one_line, run_time

_TREE_PART_OF_SCREEN = 0.5


class Reporter(Protocol):
    """Shows a job while it runs, and messages. `quiet` ones need no logs."""

    quiet: bool

    def __enter__(self) -> Self: ...
    def __exit__(self, *_: object) -> None: ...
    def show(self, change: Change) -> None: ...
    def say(self, message: str) -> None: ...


def make_reporter(*, quiet: bool, color: bool) -> Reporter:
    if quiet:
        return QuietReporter()
    console = make_console(sys.stderr, color=color)
    return TreeReporter(console) if console.is_terminal else LineReporter(console)


class QuietReporter:
    """Shows messages only."""

    quiet = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def show(self, change: Change) -> None:
        del change

    def say(self, message: str) -> None:
        click.echo(message, err=True)


class _LogReporter:
    """Prints the log of the job, with the evaluated names of its tasks."""

    quiet = False

    def __init__(self, console: Console) -> None:
        self._console = console
        self._names: dict[str, str] = {}
        self._assembler = LineAssembler()
        self._printer = LogPrinter(console, LogStyle(names=self._names))

    def say(self, message: str) -> None:
        self._console.print(message)

    def _print_logs(self, change: Change, *, ended: bool) -> None:
        self._names.update((task["id"], task.get("name", task["id"])) for task in change.job["execution"])
        self._print(self._assembler.lines(change.parts))
        if ended:
            self._print(self._assembler.rest())

    def _print(self, lines: Iterable[LogLine]) -> None:
        for line in lines:
            self._printer.print(line)


class LineReporter(_LogReporter):
    """Prints one line for each change of state, between the lines of the log."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._last_states: dict[str, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def show(self, change: Change) -> None:
        job = change.job
        self._print_logs(change, ended=_has_ended(job))
        for task in job["execution"]:
            self._print_change(task["id"], f"task {one_line(task.get('name', task['id']))}", task["state"])
        self._print_change(job["id"], f"job {job['id']}", job["state"])

    def _print_change(self, id_: str, title: str, state: str) -> None:
        if self._last_states.get(id_) != state:
            self._last_states[id_] = state
            self.say(f"{title}: {state}")


class TreeReporter(_LogReporter):
    """Keeps a tree of the tasks at the bottom of a terminal, with the log above it."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._job: Document | None = None
        self._live = Live(
            console=console, get_renderable=self._view, refresh_per_second=8, vertical_overflow="crop"
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def show(self, change: Change) -> None:
        self._job = change.job
        self._print_logs(change, ended=_has_ended(change.job))

    def _view(self) -> RenderableType:
        if self._job is None:
            return Text()
        job, at = self._job, now()
        state = job["state"]
        title = Text.assemble(
            (one_line(job["name"]), "bold"),
            "  ",
            (state, STATE_STYLES.get(state, "")),
            f"  {run_time(job, at)}",
        )
        return Group(title, self._fitting(tree_of(job, at, whole=False)))

    def _fitting(self, tree: Table) -> RenderableType:
        """Return the tree, or as much of it as leaves room for the log."""
        height = max(3, int(self._console.height * _TREE_PART_OF_SCREEN))
        if tree.row_count <= height or (self._job is not None and _has_ended(self._job)):
            return tree
        width = self._console.width
        lines = self._console.render_lines(tree, self._console.options.update(width=width), pad=False)
        shown = Text("\n").join(
            Text.assemble(*((segment.text, segment.style or "") for segment in line))
            for line in lines[:height]
        )
        return Group(shown, Text(f"… {len(lines) - height} more lines", style="dim"))


def _has_ended(job: Document) -> bool:
    return job["state"] in ("COMPLETED", "FAILED", "CANCELLED")
