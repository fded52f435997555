"""Prints the data of commands to stdout, in the format that the user has chosen.

On a terminal a table keeps to its width. Elsewhere nothing is cut off.
"""

import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tork_celery.cli.shown_text import one_line

Document = Mapping[str, Any]
Columns = Mapping[str, Callable[[Any], Any]]
"""The titles of a table, each with a function from an item to the text of its cell."""

_UNLIMITED_WIDTH = 100_000
_SHORT_ID = 12
_CUT_OFF = ("NAME", "ERROR", "NODE", "QUEUE", "QUEUES", "VALUE")
STATE_STYLES = {
    "COMPLETED": "green",
    "RUNNING": "blue",
    "FAILED": "bold red",
    "CANCELLED": "yellow",
    "STOPPED": "yellow",
    "SKIPPED": "dim",
    "CREATED": "dim",
    "PENDING": "dim",
    "UP": "green",
    "DOWN": "bold red",
    "OFFLINE": "dim",
    "ACTIVE": "green",
    "PAUSED": "yellow",
}


class Output:
    """Prints documents as `format` says: table, json (one array or object), jsonl (one object a line) or name
    (one id or name a line)."""

    def __init__(self, format_: str, *, color: bool) -> None:
        self.format = format_
        self.console = make_console(sys.stdout, color=color)

    def rows(self, rows: Iterable[Document], columns: Columns, *, name: str = "id") -> None:
        """Print a list. `name` is the field that the format `name` prints."""
        if self.format == "table":
            print_lines(self.console, table_of(list(rows), columns, short=self.console.is_terminal))
        elif self.format == "json":
            self._json(list(rows))
        else:
            for row in rows:
                self._line(row, name)

    def document(self, document: Document, *, name: str = "id", plain: str | None = None) -> None:
        """Print one object. In the format `table` that is the line `plain`, or indented JSON without it."""
        if self.format == "table" and plain is not None:
            click.echo(plain)
        elif self.format in ("table", "json"):
            self._json(document)
        else:
            self._line(document, name)

    def _line(self, row: Document, name: str) -> None:
        click.echo(row[name] if self.format == "name" else json.dumps(row, ensure_ascii=False))

    def _json(self, value: Any) -> None:
        click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def table_of(rows: Sequence[Document], columns: Columns, *, short: bool) -> Table:
    """Return a table, of which only texts of users are cut off. With `short`, ids are prefixes that commands
    accept."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    cells = {title: [cell(value(row)) for row in rows] for title, value in columns.items()}
    if short and "ID" in cells:
        cells["ID"] = [id_[:_SHORT_ID] for id_ in cells["ID"]]
    for title, texts in cells.items():
        width = None if title in _CUT_OFF else max([len(title), *(len(text) for text in texts)])
        table.add_column(title, no_wrap=True, overflow="ellipsis", min_width=width)
    for row in zip(*cells.values(), strict=True):
        table.add_row(*row)
    return table


def make_console(file: Any, *, color: bool) -> Console:
    """Return a console that wraps at the width of a terminal, and nowhere else."""
    width = None if file.isatty() else _UNLIMITED_WIDTH
    return Console(file=file, no_color=not color, highlight=False, markup=False, emoji=False, width=width)


def print_lines(console: Console, shown: Any) -> None:
    """Print something without the spaces that fill its lines."""
    with console.capture() as captured:
        console.print(shown)
    for line in captured.get().splitlines():
        click.echo(line.rstrip(), file=console.file, color=True)


def cell(value: Any) -> Text:
    """Return the text of a cell; a state has its colour."""
    text = "" if value is None else one_line(str(value))
    return Text(text, style=STATE_STYLES.get(text, ""))
