"""A step is claimed once, and only the node that holds it records its outcome."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Connection

from tests.domain.samples import task_definition
from tests.store.stores import change, change_job, seconds_now, store_job, store_task, task_now
from tork_celery.domain.model import StepRef, Task
from tork_celery.domain.states import FailureCause, JobState, Outcome, TaskState
from tork_celery.store import Database, claims, jobs, tasks

NODE, OTHER = "default@here", "default@there"
LEASE_S = 30.0

THREE_STEPS = task_definition(pre=1, post=1)
RUNNING: dict[str, Any] = {
    "state": TaskState.RUNNING,
    "node": NODE,
    "step_running": True,
    "lease_until": 0.0,
    "delivery": 2,
    "step": 1,
}
BETWEEN = RUNNING | {"step_running": False}


def claim(database: Database, ref: StepRef, *, node: str = NODE) -> Task | None:
    with database.transaction() as tx:
        return claims.claim(tx, ref, node=node, lease_s=LEASE_S)


def test_claim_sets_node_lease_and_start_time(database: Database) -> None:
    task = store_task(database, THREE_STEPS)
    before = seconds_now(database)

    claimed = claim(database, task.ref)

    assert claimed == task_now(database, task.id)
    assert claimed.lease_until is not None
    assert claimed.started_at is not None
    assert (claimed.state, claimed.node, claimed.step_running) == (TaskState.RUNNING, NODE, True)
    assert before <= claimed.started_at <= seconds_now(database)
    assert claimed.lease_until == pytest.approx(claimed.started_at + LEASE_S, abs=1)


def test_node_of_the_first_step_claims_the_next_step(database: Database) -> None:
    task = store_task(database, THREE_STEPS, **BETWEEN, started_at=5.0)

    claimed = claim(database, task.ref)

    assert claimed is not None
    assert (claimed.step, claimed.step_running, claimed.started_at) == (1, True, 5.0)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (RUNNING, "it is running"),
        (BETWEEN | {"node": OTHER}, "another node has started the task"),
        (BETWEEN | {"outcome": Outcome.FAILED}, "its steps have ended"),
        (BETWEEN | {"outcome": Outcome.COMPLETED, "state": TaskState.COMPLETED}, "it has ended"),
        (BETWEEN | {"state": TaskState.CANCELLED}, "it was cancelled"),
        (BETWEEN | {"delivery": 3}, "a later delivery exists"),
        (BETWEEN | {"delivery": 1}, "the delivery does not exist yet"),
        (BETWEEN | {"step": 2}, "the step is already complete"),
        (BETWEEN | {"step": 0}, "an earlier step is not complete"),
    ],
)
def test_claim_is_refused(database: Database, values: dict[str, Any], reason: str) -> None:
    task = store_task(database, THREE_STEPS, **values)

    assert claim(database, StepRef(task_id=task.id, delivery=2, step=1)) is None, reason
    assert task_now(database, task.id) == task


@pytest.mark.parametrize("values", [{"delivery": 2, "step": 1, "state": TaskState.SCHEDULED}, BETWEEN])
@pytest.mark.parametrize("state", [JobState.CANCELLED, JobState.FAILED, JobState.COMPLETED])
def test_no_step_of_an_ended_job_is_claimed(
    database: Database, values: dict[str, Any], state: JobState
) -> None:
    job, task = store_job(database, THREE_STEPS)
    task = change(database, task, **values)
    change_job(database, job, state=state)

    assert claim(database, task.ref) is None
    assert task_now(database, task.id) == task


def test_claim_of_unknown_task_is_refused(database: Database) -> None:
    assert claim(database, StepRef(task_id="none", delivery=1, step=0)) is None


def test_one_of_eight_concurrent_claims_succeeds(database: Database) -> None:
    task = store_task(database)
    barrier = threading.Barrier(8)

    def attempt(number: int) -> Task | None:
        barrier.wait()
        return claim(database, task.ref, node=f"node {number}")

    with ThreadPoolExecutor(8) as pool:
        claimed = [task for task in pool.map(attempt, range(8)) if task]

    assert claimed == [task_now(database, task.id)]


def test_completed_step_makes_the_next_step_due(database: Database) -> None:
    task = store_task(database, THREE_STEPS, **RUNNING, result="from the step before")

    with database.transaction() as tx:
        assert claims.complete_step(tx, task.ref, node=NODE, result=None, last=False)

    now = task_now(database, task.id)
    assert now.sent_at is not None
    assert now == replace(task, step=2, step_running=False, sent_at=now.sent_at, marks=now.marks)


def test_last_step_sets_the_outcome_but_not_the_state(database: Database) -> None:
    task = store_task(database, THREE_STEPS, **RUNNING | {"step": 2})

    with database.transaction() as tx:
        assert claims.complete_step(tx, task.ref, node=NODE, result="42", last=True)

    now = task_now(database, task.id)
    assert (now.outcome, now.state, now.result) == (Outcome.COMPLETED, TaskState.RUNNING, "42")
    assert now.ended_at is not None


def test_failed_step_sets_the_outcome(database: Database) -> None:
    task = store_task(database, THREE_STEPS, **RUNNING)

    with database.transaction() as tx:
        cause = FailureCause.OUT_OF_MEMORY
        assert claims.fail_step(tx, task.ref, node=NODE, error="exit code 1", exit_code=1, cause=cause)

    now = task_now(database, task.id)
    assert (now.outcome, now.state, now.error) == (Outcome.FAILED, TaskState.RUNNING, "exit code 1")
    assert (now.step, now.step_running) == (1, False)
    assert now.ended_at is not None


def test_held_step_is_locked_and_returned(database: Database) -> None:
    task = store_task(database, THREE_STEPS, **RUNNING)

    with database.transaction() as tx:
        assert claims.lock_held(tx, task.ref, node=NODE) == task


def test_first_step_sets_the_deadline(database: Database) -> None:
    task = store_task(database, THREE_STEPS, **RUNNING)

    with database.transaction() as tx:
        first = claims.set_deadline(tx, task.ref, node=NODE, timeout_s=60)
        second = claims.set_deadline(tx, task.ref, node=NODE, timeout_s=3600)

    assert first == pytest.approx(60, abs=1)
    assert second == pytest.approx(60, abs=5)


@pytest.mark.parametrize(
    "operation",
    [
        pytest.param(
            lambda tx, ref: claims.complete_step(tx, ref, node=NODE, result="x", last=True), id="complete"
        ),
        pytest.param(lambda tx, ref: claims.fail_step(tx, ref, node=NODE, error="x"), id="fail"),
        pytest.param(lambda tx, ref: claims.lock_held(tx, ref, node=NODE), id="held"),
        pytest.param(lambda tx, ref: claims.set_deadline(tx, ref, node=NODE, timeout_s=1), id="set deadline"),
    ],
)
@pytest.mark.parametrize(
    "values",
    [
        pytest.param({"node": OTHER}, id="held by another node"),
        pytest.param({"delivery": 3}, id="a later delivery exists"),
        pytest.param({"step": 2}, id="the step is already complete"),
        pytest.param({"step_running": False}, id="not running"),
        pytest.param({"outcome": Outcome.FAILED}, id="steps ended"),
        pytest.param({"state": TaskState.CANCELLED}, id="cancelled"),
    ],
)
def test_operation_on_a_step_that_is_not_held_changes_nothing(
    database: Database, operation: Callable[[Connection, StepRef], object], values: dict[str, Any]
) -> None:
    task = store_task(database, THREE_STEPS, **RUNNING | values)

    with database.transaction() as tx:
        assert not operation(tx, StepRef(task_id=task.id, delivery=2, step=1))

    assert task_now(database, task.id) == task


def test_concurrent_claim_and_cancel_do_not_deadlock(database: Database) -> None:
    barrier = threading.Barrier(2)

    def claim(task: Task) -> None:
        barrier.wait()
        with database.transaction() as tx:
            jobs.lock_row_by_task(tx, task.id)
            if claims.claim(tx, task.ref, node=NODE, lease_s=10):
                jobs.start(tx, task.job_id)

    def cancel(task: Task) -> None:
        barrier.wait()
        with database.transaction() as tx:
            jobs.lock(tx, task.job_id)
            tasks.end_active(tx, [task], state=TaskState.CANCELLED)

    with ThreadPoolExecutor(2) as pool:
        for _ in range(20):
            _, task = store_job(database)
            for done in [pool.submit(claim, task), pool.submit(cancel, task)]:
                done.result()
            assert task_now(database, task.id).state is TaskState.CANCELLED


def test_child_of_a_failed_composite_is_not_claimed(database: Database) -> None:
    parent = store_task(database, state=TaskState.RUNNING)
    child = store_task(database, parent_id=parent.id)
    change(database, parent, state=TaskState.FAILED)
    assert claim(database, child.ref) is None
    change(database, parent, state=TaskState.RUNNING)
    assert claim(database, child.ref) is not None
