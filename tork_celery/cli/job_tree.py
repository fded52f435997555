"""The tasks of a job as a tree of lines, in the order of the job file, each attempt a line of its own."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rich.table import Table
from rich.text import Text

from tork_celery.cli.output import STATE_STYLES
from tork_celery.cli.shown_text import duration, one_line, parse_time, run_time

Document = Mapping[str, Any]

_SYMBOLS = {
    "COMPLETED": "✔",
    "RUNNING": "●",
    "FAILED": "✘",
    "CANCELLED": "■",
    "STOPPED": "■",
    "SKIPPED": "-",
}
_WAITING = "○"
_NOT_BEGUN: dict[str, Any] = {"state": ""}
_IMPORTANT = ("RUNNING", "FAILED", "SCHEDULED", "PENDING")
_MOST_CHILDREN = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line of a tree. `guide` leads from its parent to it. A line with `omitted` stands for other ones."""

    guide: str
    task: Document
    omitted: Counter[str] | None = None


def lines(job: Document, *, whole: bool = True) -> list[Line]:
    """Return the lines of a job's tree. Unless `whole`, large composites show important children only."""
    children: dict[str | None, list[Document]] = defaultdict(list)
    for task in job.get("execution", ()):
        children[task.get("parentId")].append(task)
    children[None] += _not_begun(job, children[None])
    children[None].sort(key=lambda task: int(task.get("position", 0)))
    return list(_below(None, children, "", whole=whole))


def tree_of(job: Document, now: datetime, *, whole: bool = True) -> Table:
    """Return the tree with a column each for the state, the time, the wait before it, and what is to say."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True, overflow="ellipsis")
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, justify="right")
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, overflow="ellipsis")
    for line in lines(job, whole=whole):
        table.add_row(*_cells(line, now))
    return table


def _not_begun(job: Document, begun: Sequence[Document]) -> Iterator[Document]:
    positions = {task.get("position") for task in begun}
    for position, task in enumerate(job.get("tasks", ()), start=1):
        if position not in positions:
            yield _NOT_BEGUN | {"name": task.get("name", ""), "position": position}


def _below(
    parent_id: str | None, children: Mapping[str | None, Sequence[Document]], guide: str, *, whole: bool
) -> Iterator[Line]:
    """Yield the lines below a task, or of the top level."""
    tasks = children.get(parent_id, ())
    shown = tasks if whole or parent_id is None else _most_important(tasks)
    omitted = Counter(task["state"] for task in tasks) - Counter(task["state"] for task in shown)
    for number, task in enumerate(shown, start=1):
        last = number == len(shown) and not omitted
        yield Line(guide=guide + ("└ " if last else "├ "), task=task)
        if "id" in task and task["id"] in children:
            yield from _below(task["id"], children, guide + ("  " if last else "│ "), whole=whole)
    if omitted:
        yield Line(guide=guide + "└ ", task={}, omitted=omitted)


def _most_important(tasks: Sequence[Document]) -> Sequence[Document]:
    """Return up to _MOST_CHILDREN tasks, in their order: those that are active or failed before others."""
    if len(tasks) <= _MOST_CHILDREN:
        return tasks
    ranks = {state: rank for rank, state in enumerate(_IMPORTANT)}
    ranked = sorted(range(len(tasks)), key=lambda at: ranks.get(tasks[at]["state"], len(ranks)))
    return [tasks[at] for at in sorted(ranked[:_MOST_CHILDREN])]


def _cells(line: Line, now: datetime) -> Iterable[Text | str]:
    if line.omitted is not None:
        counts = ", ".join(f"{number} {state}" for state, number in line.omitted.items())
        return [Text(f"{line.guide}… {line.omitted.total()} more: {counts}", style="dim")]
    task, state = line.task, line.task["state"]
    style = STATE_STYLES.get(state, "")
    symbol = (_SYMBOLS.get(state, _WAITING) + " ", style or "dim")
    name = (one_line(task.get("name", "")), "" if state else "dim")
    title = Text.assemble((line.guide, "dim"), symbol, name)
    return [title, Text(state, style=style), run_time(task, now), _wait(task), _remark(task)]


def _wait(task: Document) -> Text:
    """Return how long the task waited for a worker."""
    start, due = task.get("startedAt"), task.get("scheduledAt")
    if not start or not due or "queue" not in task:
        return Text()
    waited_s = (parse_time(start) - parse_time(due)).total_seconds()
    return Text(f"waited {duration(waited_s)}" if waited_s >= 1 else "", style="dim")


def _remark(task: Document) -> Text:
    """Return the first line of the error, else what else is to know about the task."""
    if error := task.get("error"):
        return Text(one_line(error.partition("\n")[0]), style="red")
    parts = []
    if attempts := task.get("retry", {}).get("attempts"):
        parts.append(f"attempt {attempts + 1}")
    if task["state"] == "RUNNING" and "progress" in task:
        parts.append(f"{task['progress']:.0f} %")
    if task["state"] == "SCHEDULED":
        parts.append(f"waits in the queue {task.get('queue', '')}")
    if subjob := task.get("subjob", {}).get("id"):
        parts.append(f"job {subjob}")
    return Text(one_line(", ".join(parts)), style="dim")
