"""A list that is shown anew when it changes, until Ctrl-C."""

import time
from collections.abc import Callable

from tork_celery.cli.client import Document
from tork_celery.cli.options import Session
from tork_celery.cli.output import Columns, table_of

_EVERY_S = 1.0


def watch(session: Session, read: Callable[[], list[Document]], columns: Callable[[], Columns]) -> None:
    """Show a list on a terminal in place; elsewhere print each new version of an item."""
    if session.format == "table" and session.output.console.is_terminal:
        _in_place(session, read, columns)
    else:
        _changes(session, read, columns)


def _in_place(session: Session, read: Callable[[], list[Document]], columns: Callable[[], Columns]) -> None:
    from rich.live import Live  # noqa: PLC0415  of use on a terminal only

    with Live(console=session.output.console, auto_refresh=False, screen=False) as live:
        while True:
            live.update(table_of(read(), columns(), short=True), refresh=True)
            time.sleep(_EVERY_S)


def _changes(session: Session, read: Callable[[], list[Document]], columns: Callable[[], Columns]) -> None:
    shown: list[Document] = []
    while True:
        items = read()
        if changed := [item for item in reversed(items) if item not in shown]:
            session.output.rows(changed, columns())
        shown = items
        time.sleep(_EVERY_S)
