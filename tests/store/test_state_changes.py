"""Stored states change along the transition tables of `domain.states` only."""

import itertools
from dataclasses import replace

import pytest

from tests.store.stores import change, change_job, job_now, store_job, store_task, task_now
from tork_celery.domain.errors import IllegalTransition
from tork_celery.domain.model import Job, Task
from tork_celery.domain.states import JOB_MOVES, TASK_MOVES, JobState, TaskState, sources
from tork_celery.store import Database, claims, jobs, tasks


def save_task(database: Database, task: Task) -> None:
    with database.transaction() as tx:
        tasks.save(tx, [task])


def save_job(database: Database, job: Job) -> None:
    with database.transaction() as tx:
        jobs.save(tx, job)


def test_task_is_saved_along_the_table_only(database: Database) -> None:
    task = store_task(database)

    for before, after in itertools.permutations(TaskState, 2):
        stored = change(database, task, state=before)
        changed = replace(stored, state=after)
        if (before, after) in TASK_MOVES:
            save_task(database, changed)
            assert task_now(database, task.id) == changed
        else:
            with pytest.raises(IllegalTransition, match=f"{task.id} cannot move from {before} to {after}"):
                save_task(database, changed)
            assert task_now(database, task.id) == stored


def test_job_is_saved_along_the_table_only(database: Database) -> None:
    job, _ = store_job(database)

    for before, after in itertools.permutations(JobState, 2):
        stored = change_job(database, job, state=before)
        changed = replace(stored, state=after)
        if (before, after) in JOB_MOVES:
            save_job(database, changed)
            assert job_now(database, job.id) == changed
        else:
            with pytest.raises(IllegalTransition, match=f"{job.id} cannot move from {before} to {after}"):
                save_job(database, changed)
            assert job_now(database, job.id) == stored


@pytest.mark.parametrize("state", TaskState)
def test_task_is_saved_without_a_change_of_state(database: Database, state: TaskState) -> None:
    task = store_task(database, state=state)

    save_task(database, replace(task, error="e"))

    assert task_now(database, task.id).error == "e"


@pytest.mark.parametrize("state", JobState)
def test_job_is_saved_without_a_change_of_state(database: Database, state: JobState) -> None:
    job, _ = store_job(database)
    job = change_job(database, job, state=state)

    save_job(database, replace(job, error="e"))

    assert job_now(database, job.id).error == "e"


def test_one_illegal_move_rolls_back_a_save_of_many_tasks(database: Database) -> None:
    legal = [store_task(database, state=TaskState.RUNNING) for _ in range(3)]
    redefined = store_task(database, state=TaskState.CREATED)
    illegal = store_task(database, state=TaskState.CANCELLED)
    changed = [replace(task, state=TaskState.COMPLETED) for task in (*legal, redefined, illegal)]

    with (
        pytest.raises(IllegalTransition, match=f"{illegal.id} cannot move from CANCELLED to COMPLETED"),
        database.transaction() as tx,
    ):
        tasks.save(tx, changed, redefined={redefined.id})

    for task in (*legal, redefined, illegal):
        assert task_now(database, task.id) == task


def test_save_of_a_missing_row_raises(database: Database) -> None:
    job, task = store_job(database)
    with database.transaction() as tx:
        jobs.remove(tx, job.id)

    with pytest.raises(LookupError, match=job.id):
        save_job(database, job)
    with pytest.raises(LookupError, match=task.id):
        save_task(database, task)


@pytest.mark.parametrize("state", [TaskState.CANCELLED, TaskState.STOPPED])
def test_end_active_follows_the_table(database: Database, state: TaskState) -> None:
    for before in TaskState:
        task = store_task(database, state=before)

        with database.transaction() as tx:
            tasks.end_active(tx, [task], state=state)

        expected = state if before in sources(state) else before
        assert task_now(database, task.id).state is expected


def test_first_claim_follows_the_table(database: Database) -> None:
    claimed = set()
    for before in TaskState:
        task = store_task(database, state=before, due_at=1.0)
        with database.transaction() as tx:
            if claims.claim(tx, task.ref, node="default@here", lease_s=9.0):
                claimed.add(before)

    assert claimed == {TaskState.SCHEDULED}
    assert claimed <= sources(TaskState.RUNNING)


def test_scheduled_job_starts(database: Database) -> None:
    started = set()
    for before in JobState:
        job, _ = store_job(database)
        change_job(database, job, state=before)
        with database.transaction() as tx:
            if jobs.start(tx, job.id):
                started.add(before)

    assert started == {JobState.SCHEDULED}
