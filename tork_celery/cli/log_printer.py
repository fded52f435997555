"""Prints lines of logs, with the name of their task before them if there are several tasks."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from rich.console import Console
from rich.text import Text

from tork_celery.cli.log_lines import LogLine, for_terminal, without_escapes
from tork_celery.cli.shown_text import one_line

_PREFIX_STYLES = ("cyan", "magenta", "green", "yellow", "blue", "bright_red")
_LONGEST_PREFIX = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class LogStyle:
    """How lines are printed. `names` has the names of tasks, by id, for prefixes; None for no prefixes. Only
    lines that `grep` finds are printed."""

    names: Mapping[str, str] | None
    timestamps: bool = False
    grep: re.Pattern[str] | None = None


class LogPrinter:
    """Prints lines to a console. Anywhere but on a terminal they are as the task printed them."""

    def __init__(self, console: Console, style: LogStyle) -> None:
        self._console = console
        self._style = style
        self._width = 0  # of the longest name so far

    def print(self, line: LogLine) -> None:
        if self._style.grep is not None and not self._style.grep.search(without_escapes(line.text)):
            return
        if self._console.is_terminal:
            shown = Text.assemble(*self._beginning(line), Text.from_ansi(for_terminal(line.text)))
            if line.system:
                shown.stylize("dim")
            self._console.print(shown, soft_wrap=True)
        else:
            beginning = "".join(text for text, _style in self._beginning(line))
            print(beginning + line.text, file=self._console.file)

    def _beginning(self, line: LogLine) -> list[tuple[str, str]]:
        """Return what is before a line, in pieces with their styles."""
        pieces = []
        if self._style.timestamps:
            pieces.append((f"{line.time_text()} ", "dim"))
        if self._style.names is not None:
            name = one_line(self._style.names.get(line.task_id, line.task_id))[:_LONGEST_PREFIX]
            self._width = max(self._width, len(name))
            style = _PREFIX_STYLES[sum(name.encode()) % len(_PREFIX_STYLES)]
            pieces.append((f"{name:<{self._width}} | ", style))
        if line.system:
            pieces.append(("tork: ", "dim"))
        return pieces
