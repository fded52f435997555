"""Moves between states: the tables, their checks, and how each row is reached."""

import ast
from pathlib import Path
from typing import Any

import pytest

import tork_celery.domain
from tests.domain import simulated
from tests.domain.samples import (
    each,
    job_definition,
    make_task,
    parallel,
    subjob,
    submission,
    task_definition,
)
from tests.domain.simulated import Simulation
from tork_celery.domain import model
from tork_celery.domain.definition import Retry, TaskDefinition
from tork_celery.domain.errors import IllegalTransition
from tork_celery.domain.states import (
    ACTIVE,
    JOB_MOVES,
    JOB_STARTS,
    TASK_MOVES,
    TASK_STARTS,
    JobState,
    TaskState,
    check_job_move,
    check_task_move,
    sources,
)


def test_sources_are_the_states_from_which_a_state_is_entered() -> None:
    assert sources(TaskState.CREATED) == frozenset()
    assert sources(TaskState.SCHEDULED) == {TaskState.CREATED, TaskState.PENDING, TaskState.RUNNING}
    assert sources(TaskState.RUNNING) == {TaskState.CREATED, TaskState.SCHEDULED}
    assert sources(TaskState.CANCELLED) == sources(TaskState.STOPPED) == ACTIVE
    assert sources(JobState.PENDING) == frozenset()
    assert sources(JobState.CANCELLED) == {JobState.PENDING, JobState.SCHEDULED, JobState.RUNNING}


@pytest.mark.parametrize("before", TaskState)
@pytest.mark.parametrize("after", TaskState)
def test_task_changes_state_only_as_its_table_allows(before: TaskState, after: TaskState) -> None:
    task = make_task(state=before)
    if (before, after) in TASK_MOVES:
        assert task.with_state(after).state is after
    else:
        with pytest.raises(IllegalTransition, match=f"a task cannot move from {before} to {after}"):
            task.with_state(after)


@pytest.mark.parametrize("before", JobState)
@pytest.mark.parametrize("after", JobState)
def test_job_changes_state_only_as_its_table_allows(before: JobState, after: JobState) -> None:
    job = model.Job(id="j", definition=job_definition(), state=before, created_at=0.0)
    if (before, after) in JOB_MOVES:
        assert job.with_state(after).state is after
    else:
        with pytest.raises(IllegalTransition, match=f"a job cannot move from {before} to {after}"):
            job.with_state(after)


def test_ended_task_never_changes_its_state() -> None:
    assert {before for before, _ in TASK_MOVES} == ACTIVE


def test_only_a_user_moves_an_ended_job() -> None:
    by_user = {move for move, reason in JOB_MOVES.items() if reason.startswith(("restarted", "run again"))}
    assert {move for move in JOB_MOVES if move[0].ended} == by_user


def test_state_is_replaced_only_by_with_state() -> None:
    [folder] = tork_celery.domain.__path__
    replaced = [
        f"{path.name}:{call.lineno}"
        for path in Path(folder).glob("*.py")
        if path.name not in ("model.py", "scheduled_job.py")  # with_state; schedules have states of their own
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "replace"
        if any(keyword.arg == "state" for keyword in call.keywords)
    ]
    assert replaced == []


def test_new_rows_start_in_their_start_states() -> None:
    plan = submission(parallel(*(task_definition(),) * 300))
    assert {task.state for task in plan.added} - {TaskState.RUNNING, TaskState.SCHEDULED} <= set(TASK_STARTS)
    assert set(JOB_STARTS) == {state for state in JobState if not sources(state)}
    assert TaskState.CREATED in TASK_STARTS


# ---------------------------------------------------------------- every row of the tables is reached

JOB_MOVES_NOT_REACHED: dict[tuple[JobState, JobState], str] = {
    **dict.fromkeys(
        [(JobState.PENDING, state) for state in JobState if state is not JobState.SCHEDULED],
        "only a job that waits is stored as PENDING; see tests/services/test_schedule_overlap.py",
    ),
    **dict.fromkeys(
        [move for move in JOB_MOVES if move[0] is JobState.COMPLETED],
        "a completed job cannot be run again yet",
    ),
}

EPOCH = "now().Year() == 1970"
"""A condition that no longer holds after the event `wait`."""
LEAF = task_definition()
SKIPPED = task_definition(if_="false")
BROKEN = task_definition(env={"A": "{{ nope }}"})
RETRIED = task_definition(retry=Retry(limit=1))
SKIPPED_LATER = task_definition(if_=EPOCH)
BROKEN_LATER = task_definition(env={"A": f"{{{{ {EPOCH} ? 'a' : int('b') }}}}"})
DETACHED = subjob(LEAF, detached=True)
MIXED = parallel(RETRIED, LEAF, LEAF, each("[1, 2]", LEAF, concurrency=1))
"""After the events `claim fail claim`, it has tasks in all active states."""

SCENARIOS: list[tuple[list[TaskDefinition], str]] = [
    ([LEAF], "claim finish"),
    ([SKIPPED], ""),
    ([BROKEN], ""),
    ([LEAF], "cancel"),
    ([RETRIED], "claim fail claim lose claim finish"),
    ([MIXED], "claim fail claim cancel"),
    ([MIXED], "claim fail claim fail"),
    ([each("[1, 2]", LEAF, concurrency=1)], "claim finish claim finish"),
    ([each("[1, 2]", parallel(LEAF), concurrency=1)], "claim finish claim finish"),
    ([each("[1, 2]", SKIPPED_LATER, concurrency=1)], "claim wait finish"),
    ([each("[1, 2]", BROKEN_LATER, concurrency=1)], "claim wait finish"),
    ([each("[1, 2]", each(f"{EPOCH} ? [1] : []", LEAF), concurrency=1)], "claim wait finish"),
    ([each("[1, 2]", DETACHED, concurrency=1)], ""),
    ([LEAF], "claim fail restart"),
    ([LEAF], "cancel restart"),
    ([parallel(LEAF)], "claim fail restart"),
    ([parallel(LEAF)], "cancel restart"),
    ([SKIPPED_LATER], "claim fail wait restart"),
    ([SKIPPED_LATER], "cancel wait restart"),
    ([BROKEN_LATER], "claim fail wait restart"),
    ([BROKEN_LATER], "cancel wait restart"),
]


def play(definitions: list[TaskDefinition], events: str) -> None:
    simulation = Simulation(job_definition(*definitions))
    for event in events.split():
        if event == "wait":
            simulation.now = 2e9
        else:
            simulation.play(event)


def test_every_row_of_the_tables_is_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    job_moves, task_moves = set[Any](), set[Any]()

    def record_job_move(before: JobState, after: JobState) -> None:
        check_job_move(before, after)
        job_moves.add((before, after))

    def record_task_move(before: TaskState, after: TaskState) -> None:
        check_task_move(before, after)
        task_moves.add((before, after))

    for module in (model, simulated):
        monkeypatch.setattr(module, "check_job_move", record_job_move)
        monkeypatch.setattr(module, "check_task_move", record_task_move)
    for definitions, events in SCENARIOS:
        play(definitions, events)
    assert task_moves == set(TASK_MOVES)
    assert job_moves == JOB_MOVES.keys() - JOB_MOVES_NOT_REACHED
