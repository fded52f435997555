"""Moves between states: the tables, the checks, and that the code reaches every row."""

import ast
from pathlib import Path

import pytest

import tork_celery.domain
from tests.domain.samples import make_task, submission
from tork_celery.domain.errors import IllegalTransition
from tork_celery.domain.states import (
    ACTIVE,
    JOB_MOVES,
    TASK_MOVES,
    JobState,
    TaskState,
    check_job_move,
    check_task_move,
    sources,
)


def test_sources_are_the_states_from_which_a_state_is_entered() -> None:
    assert sources(TaskState.CREATED) == frozenset()
    assert sources(TaskState.SCHEDULED) == {TaskState.CREATED, TaskState.RUNNING}
    assert sources(TaskState.RUNNING) == {TaskState.CREATED, TaskState.PENDING, TaskState.SCHEDULED}
    assert sources(TaskState.CANCELLED) == sources(TaskState.STOPPED) == ACTIVE
    assert sources(JobState.PENDING) == frozenset()
    assert sources(JobState.CANCELLED) == {JobState.PENDING, JobState.SCHEDULED, JobState.RUNNING}


@pytest.mark.parametrize("before", TaskState)
@pytest.mark.parametrize("after", TaskState)
def test_task_changes_state_only_as_its_table_allows(before: TaskState, after: TaskState) -> None:
    task = make_task(state=before)
    if (before, after) in TASK_MOVES:
        assert task.with_state(after).state is after
        return
    with pytest.raises(IllegalTransition, match=f"a task cannot move from {before} to {after}"):
        task.with_state(after)


@pytest.mark.parametrize("before", JobState)
@pytest.mark.parametrize("after", JobState)
def test_job_changes_state_only_as_its_table_allows(before: JobState, after: JobState) -> None:
    if (before, after) in JOB_MOVES:
        check_job_move(before, after)
        return
    with pytest.raises(IllegalTransition, match=f"a job cannot move from {before} to {after}"):
        check_job_move(before, after)


def test_plan_outside_the_tables_raises() -> None:
    plan = submission()
    [task] = plan.added
    with pytest.raises(IllegalTransition):
        task.with_state(TaskState.COMPLETED)
    with pytest.raises(IllegalTransition):
        plan.job.with_state(JobState.PENDING)
    check_task_move(task.state, TaskState.RUNNING)


def test_ended_task_never_changes_its_state() -> None:
    assert {before for before, _ in TASK_MOVES} == ACTIVE


def test_only_a_user_moves_an_ended_job() -> None:
    ended = {state for state in JobState if state.ended}
    by_user = {move for move, reason in JOB_MOVES.items() if "restarted" in reason or "run again" in reason}
    assert {move for move in JOB_MOVES if move[0] in ended} == by_user


def test_state_is_replaced_only_by_with_state() -> None:
    folder = Path(tork_celery.domain.__path__[0])
    found = [
        f"{path.name}:{call.lineno}"
        for path in folder.glob("*.py")
        if path.name not in ("model.py", "scheduled_job.py")  # the methods; a schedule has other states
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Name)
        and call.func.id == "replace"
        and any(keyword.arg == "state" for keyword in call.keywords)
    ]
    assert found == []
