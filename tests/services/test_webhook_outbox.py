"""What happens to a job and its tasks is noted for its webhooks, in the transaction in which it happens."""

import json
from dataclasses import replace

import pytest
from sqlalchemy import event, select

from tests.domain.samples import job_definition, task_definition
from tests.store.stores import CuttableDatabase, change, job_now, task_now, tasks_of
from tork_celery.domain.definition import JobDefinition, Parallel, TaskDefinition, Webhook
from tork_celery.domain.model import Job, Task
from tork_celery.domain.states import Outcome
from tork_celery.services import job_control
from tork_celery.services.advance import advance
from tork_celery.services.context import ServiceContext
from tork_celery.services.recovery_sweep import RecoverySweep
from tork_celery.services.submit import submit
from tork_celery.store import jobs, leases, tasks, webhook_outbox
from tork_celery.store.tables import webhook_calls

NODE = "default@here"
HOOKS = tuple(
    Webhook(url="http://h/", event=event)
    for event in ("job.StateChange", "job.Progress", "task.StateChange", "task.Progress")
)


def definition(*tasks: TaskDefinition, hooks: tuple[Webhook, ...] = HOOKS) -> JobDefinition:
    return job_definition(*tasks, webhooks=hooks)


def told(database: CuttableDatabase) -> list[str]:
    """What was noted since this was last asked."""
    with database.transaction() as tx:
        rows = tx.execute(select(webhook_calls).order_by(webhook_calls.c.id)).all()
        tx.execute(webhook_calls.delete())
    bodies = [(row.event, json.loads(row.body)) for row in rows]
    return [
        f"{event} {body['state'] if 'State' in event else body.get('progress', 0)}" for event, body in bodies
    ]


def claim(database: CuttableDatabase, task: Task) -> Task:
    with database.transaction() as tx:
        claimed = tasks.claim(tx, task.ref, node=NODE, lease_s=10.0)
        assert claimed is not None
        webhook_outbox.record_claim(tx, claimed, job_began=jobs.begin(tx, task.job_id))
    return claimed


def end(context: ServiceContext, database: CuttableDatabase, task: Task, outcome: Outcome) -> None:
    change(database, task_now(database, task.id), outcome=outcome, error="it broke", ended_at=1.0)
    advance(context, task.id, task.delivery)


@pytest.fixture
def begun(context: ServiceContext, database: CuttableDatabase) -> tuple[Job, Task]:
    """A job of two tasks whose first one runs."""
    job, task = submit(context, definition(task_definition(), task_definition()))
    claimed = claim(database, task)
    told(database)
    return job_now(database, job.id), claimed


def test_a_new_job_and_its_first_claim(context: ServiceContext, database: CuttableDatabase) -> None:
    _, task = submit(context, definition())
    assert told(database) == ["job.StateChange SCHEDULED", "task.StateChange SCHEDULED"]

    claim(database, task)
    assert told(database) == ["job.StateChange RUNNING", "task.StateChange RUNNING"]


def test_a_task_that_ends_and_the_next_one(
    context: ServiceContext, database: CuttableDatabase, begun: tuple[Job, Task]
) -> None:
    job, task = begun
    end(context, database, task, Outcome.COMPLETED)
    assert told(database) == [
        "job.Progress 50.0",
        "task.StateChange COMPLETED",
        "task.StateChange SCHEDULED",
    ]

    last = claim(database, tasks_of(database, job.id)[1])
    assert told(database) == ["task.StateChange RUNNING"]
    end(context, database, last, Outcome.COMPLETED)
    assert told(database) == ["job.StateChange COMPLETED", "job.Progress 100.0", "task.StateChange COMPLETED"]


def test_a_second_call_tells_nothing(
    context: ServiceContext, database: CuttableDatabase, begun: tuple[Job, Task]
) -> None:
    _, task = begun
    end(context, database, task, Outcome.COMPLETED)
    told(database)

    advance(context, task.id, task.delivery)

    assert told(database) == []


def test_a_failure(context: ServiceContext, database: CuttableDatabase, begun: tuple[Job, Task]) -> None:
    end(context, database, begun[1], Outcome.FAILED)

    assert told(database) == ["job.StateChange FAILED", "task.StateChange FAILED"]


def test_cancel_and_restart(
    context: ServiceContext, database: CuttableDatabase, begun: tuple[Job, Task]
) -> None:
    job, _ = begun
    job_control.cancel(context, job.id)
    assert told(database) == ["job.StateChange CANCELLED", "task.StateChange CANCELLED"]

    job_control.restart(context, job.id)
    assert told(database) == ["job.StateChange SCHEDULED", "task.StateChange SCHEDULED"]


def test_siblings_that_are_stopped(context: ServiceContext, database: CuttableDatabase) -> None:
    children = Parallel(tasks=(task_definition(name="a"), task_definition(name="b")))
    composite = TaskDefinition(name="both", parallel=children)
    job, _ = submit(
        context, definition(composite, hooks=(Webhook(url="http://h/", event="task.StateChange"),))
    )
    [first, _] = [task for task in tasks_of(database, job.id) if task.parent_id]
    claimed = claim(database, first)
    told(database)

    end(context, database, claimed, Outcome.FAILED)

    states = told(database)
    assert "task.StateChange STOPPED" in states
    assert "task.StateChange FAILED" in states


def test_progress_is_told_when_it_changes(database: CuttableDatabase, begun: tuple[Job, Task]) -> None:
    _, task = begun
    for progress, node, heard in ((20.0, NODE, 1), (20.0, NODE, 0), (40.0, "another", 0), (0.0, "", 0)):
        with database.transaction() as tx:
            webhook_outbox.record_progress(tx, {task.id: progress} if node else {}, node=node)
            if node == NODE:
                leases.renew(tx, node=NODE, running=[task.id], lease_s=10.0, progress={task.id: progress})
        assert told(database) == [f"task.Progress {progress}"] * heard


def test_a_task_whose_node_was_lost(
    context: ServiceContext, database: CuttableDatabase, begun: tuple[Job, Task]
) -> None:
    change(database, begun[1], lease_until=1.0)
    recovery_sweep = RecoverySweep(replace(context, lease_s=0.0), clock=lambda _: 1.0)
    recovery_sweep.datastore_answered(1.0)

    recovery_sweep.sweep()

    assert told(database) == ["task.StateChange SCHEDULED"]


def test_an_expression_that_fails_does_not_fail_the_job(
    context: ServiceContext, database: CuttableDatabase
) -> None:
    hook = Webhook(url="http://h/", if_="1 + 'a'")

    job, _ = submit(context, definition(hooks=(hook, Webhook(url="http://h/"))))

    assert job_now(database, job.id) == job
    assert told(database) == ["job.StateChange SCHEDULED"]


def test_a_call_outlives_its_job(context: ServiceContext, database: CuttableDatabase) -> None:
    job, _ = submit(context, definition())
    job_control.cancel(context, job.id)

    job_control.delete(context, job.id)

    assert "job.StateChange CANCELLED" in told(database)


def test_a_job_without_webhooks_costs_one_look_at_a_claim_and_nothing_else(
    context: ServiceContext, database: CuttableDatabase
) -> None:
    job, task = submit(context, definition(hooks=()))
    asked: list[str] = []
    event.listen(database.engine, "before_cursor_execute", lambda *given: asked.append(given[2]))

    with database.transaction() as tx:
        webhook_outbox.record(tx, job, [task])
        webhook_outbox.record_stop(tx, job, task.state)
        webhook_outbox.record_claim(tx, task, job_began=True)

    assert len([each for each in asked if "FROM" in each]) == 1
