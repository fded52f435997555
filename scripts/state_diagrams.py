"""Write the state diagrams of docs/development/states.md: `python -m scripts.state_diagrams`.

The parts between the markers are generated from the tables in `tork_celery.domain.states`.
"""

import re
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from tork_celery.domain.states import JOB_MOVES, JOB_STARTS, TASK_MOVES, TASK_STARTS, JobState, TaskState

PAGE = Path(__file__).parent.parent / "docs" / "development" / "states.md"

S = TypeVar("S", bound=StrEnum)

_START_OR_END = "[*]"


def updated(page: str) -> str:
    """Return the text of the page with its generated parts up to date."""
    job_ends = [state for state in JobState if state.ended]
    task_ends = [state for state in TaskState if not state.active]
    page = _replaced(page, "job moves", _moves(JOB_STARTS, JOB_MOVES, job_ends))
    return _replaced(page, "task moves", _moves(TASK_STARTS, TASK_MOVES, task_ends))


def _replaced(page: str, name: str, text: str) -> str:
    begin, end = f"<!-- generated: {name} -->\n", f"<!-- end of {name} -->"
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    page, count = pattern.subn(lambda _: f"{begin}\n{text}\n{end}", page)
    if count != 1:
        raise ValueError(f"{PAGE} must have the markers {begin.strip()} and {end} once")
    return page


def _moves(starts: Mapping[S, str], moves: Mapping[tuple[S, S], str], ends: list[S]) -> str:
    """Return a diagram and a table of moves."""
    edges: list[tuple[str, str]] = [(_START_OR_END, state) for state in starts]
    edges += moves
    edges += [(state, _START_OR_END) for state in ends]
    diagram = [f"    {before} --> {after}" for before, after in edges]
    rows = [f"| | {state} | {reason} |" for state, reason in starts.items()]
    rows += [f"| {before} | {after} | {reason} |" for (before, after), reason in moves.items()]
    return "\n".join(
        [
            *("```mermaid", "stateDiagram-v2", *diagram, "```", ""),
            *("| from | to | when |", "|---|---|---|", *rows, ""),
        ]
    )


if __name__ == "__main__":
    PAGE.write_text(updated(PAGE.read_text()))
