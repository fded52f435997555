"""State and progress changes of jobs and tasks are recorded for webhooks in the same transaction."""

import json
from dataclasses import replace

import pytest
from sqlalchemy import event, select
from structlog.testing import capture_logs

from tests.domain.samples import job_definition, task_definition
from tests.services.fakes import FakeDispatcher
from tests.store.stores import FlakyDatabase, change, database, job_now, task_now, tasks_of
from tork_celery import webhook_outbox
from tork_celery.domain import webhooks
from tork_celery.domain.definition import JobDefinition, Parallel, TaskDefinition, Webhook
from tork_celery.domain.model import Job, Task
from tork_celery.domain.plan import Plan
from tork_celery.domain.states import Outcome, TaskState
from tork_celery.services import job_control
from tork_celery.services.advance import advance
from tork_celery.services.context import ServiceContext
from tork_celery.services.recovery_sweep import RecoverySweep
from tork_celery.services.submit import submit
from tork_celery.store import claims, jobs, leases
from tork_celery.store.tables import webhook_calls

__all__ = ["database"]

NODE = "default@here"
ALL_EVENTS = tuple(
    Webhook(url="http://h/", event=event)
    for event in ("job.StateChange", "job.Progress", "task.StateChange", "task.Progress")
)


@pytest.fixture
def context(database: FlakyDatabase) -> ServiceContext:
    return ServiceContext(database=database, dispatcher=FakeDispatcher(), lease_s=10.0)


def definition(*tasks: TaskDefinition, webhooks: tuple[Webhook, ...] = ALL_EVENTS) -> JobDefinition:
    return job_definition(*tasks, webhooks=webhooks)


def take_recorded(database: FlakyDatabase) -> list[str]:
    """Remove the recorded calls; return the event of each with the state or progress that it reports."""
    with database.transaction() as tx:
        rows = tx.execute(select(webhook_calls).order_by(webhook_calls.c.id)).all()
        tx.execute(webhook_calls.delete())
    bodies = [(row.event, json.loads(row.body)) for row in rows]
    return [
        f"{event} {body['state'] if 'State' in event else body.get('progress', 0)}" for event, body in bodies
    ]


def claim(database: FlakyDatabase, task: Task) -> Task:
    with database.transaction() as tx:
        claimed = claims.claim(tx, task.ref, node=NODE, lease_s=10.0)
        assert claimed is not None
        webhook_outbox.record_claim(tx, claimed, job_started=jobs.start(tx, task.job_id))
    return claimed


def end(context: ServiceContext, task: Task, outcome: Outcome) -> None:
    current = task_now(context.database, task.id)
    change(context.database, current, outcome=outcome, error="it broke", ended_at=1.0)
    advance(context, task.id, task.delivery)


@pytest.fixture
def running(context: ServiceContext, database: FlakyDatabase) -> tuple[Job, Task]:
    """A job of two tasks, of which the first one runs."""
    job, task = submit(context, definition(task_definition(), task_definition()))
    claimed = claim(database, task)
    take_recorded(database)
    return job_now(database, job.id), claimed


@pytest.mark.covers("Job.webhooks")
def test_submit_and_first_claim_are_recorded(context: ServiceContext, database: FlakyDatabase) -> None:
    _, task = submit(context, definition())
    assert take_recorded(database) == ["job.StateChange SCHEDULED", "task.StateChange SCHEDULED"]

    claim(database, task)
    assert take_recorded(database) == ["job.StateChange RUNNING", "task.StateChange RUNNING"]


def test_completed_task_and_next_task_are_recorded(
    context: ServiceContext, database: FlakyDatabase, running: tuple[Job, Task]
) -> None:
    job, task = running
    end(context, task, Outcome.COMPLETED)
    assert take_recorded(database) == [
        "job.Progress 50.0",
        "task.StateChange COMPLETED",
        "task.StateChange SCHEDULED",
    ]

    last = claim(database, tasks_of(database, job.id)[1])
    assert take_recorded(database) == ["task.StateChange RUNNING"]
    end(context, last, Outcome.COMPLETED)
    assert take_recorded(database) == [
        "job.StateChange COMPLETED",
        "job.Progress 100.0",
        "task.StateChange COMPLETED",
    ]


def test_second_advance_records_nothing(
    context: ServiceContext, database: FlakyDatabase, running: tuple[Job, Task]
) -> None:
    _, task = running
    end(context, task, Outcome.COMPLETED)
    take_recorded(database)

    advance(context, task.id, task.delivery)

    assert take_recorded(database) == []


def test_failed_task_and_job_are_recorded(
    context: ServiceContext, database: FlakyDatabase, running: tuple[Job, Task]
) -> None:
    end(context, running[1], Outcome.FAILED)

    assert take_recorded(database) == ["job.StateChange FAILED", "task.StateChange FAILED"]


def test_cancel_and_restart_are_recorded(
    context: ServiceContext, database: FlakyDatabase, running: tuple[Job, Task]
) -> None:
    job, _ = running
    job_control.cancel(context, job.id)
    assert take_recorded(database) == ["job.StateChange CANCELLED", "task.StateChange CANCELLED"]

    job_control.restart(context, job.id)
    assert take_recorded(database) == ["job.StateChange SCHEDULED", "task.StateChange SCHEDULED"]


def test_stopped_siblings_are_recorded(context: ServiceContext, database: FlakyDatabase) -> None:
    children = Parallel(tasks=(task_definition(name="a"), task_definition(name="b")))
    composite = TaskDefinition(name="both", parallel=children)
    task_states = (Webhook(url="http://h/", event="task.StateChange"),)
    job, _ = submit(context, definition(composite, webhooks=task_states))
    [first, _] = [task for task in tasks_of(database, job.id) if task.parent_id]
    claimed = claim(database, first)
    take_recorded(database)

    end(context, claimed, Outcome.FAILED)

    recorded = take_recorded(database)
    assert "task.StateChange STOPPED" in recorded
    assert "task.StateChange FAILED" in recorded


def test_progress_is_recorded_when_it_changes(database: FlakyDatabase, running: tuple[Job, Task]) -> None:
    _, task = running
    for progress, node, calls in ((20.0, NODE, 1), (20.0, NODE, 0), (40.0, "another", 0), (0.0, "", 0)):
        with database.transaction() as tx:
            webhook_outbox.record_progress(tx, {task.id: progress} if node else {}, node=node)
            if node == NODE:
                leases.renew(
                    tx, node=NODE, running=[task.id], lease_s=10.0, progress={task.id: progress}, reports={}
                )
        assert take_recorded(database) == [f"task.Progress {progress}"] * calls


def test_redelivery_of_lost_task_is_recorded(
    context: ServiceContext, database: FlakyDatabase, running: tuple[Job, Task]
) -> None:
    change(database, running[1], lease_until=1.0)
    recovery_sweep = RecoverySweep(replace(context, lease_s=0.0), clock=lambda _: 1.0)
    recovery_sweep.datastore_answered(1.0)

    recovery_sweep.sweep()

    assert take_recorded(database) == ["task.StateChange SCHEDULED"]


def test_failing_condition_skips_only_its_webhook(context: ServiceContext, database: FlakyDatabase) -> None:
    failing = Webhook(url="http://h/", if_="1 + 'a'")

    job, _ = submit(context, definition(webhooks=(failing, Webhook(url="http://h/"))))

    assert job_now(database, job.id) == job
    assert take_recorded(database) == ["job.StateChange SCHEDULED"]


def test_recorded_calls_outlive_deleted_job(context: ServiceContext, database: FlakyDatabase) -> None:
    job, _ = submit(context, definition())
    job_control.cancel(context, job.id)

    job_control.delete(context, job.id)

    assert "job.StateChange CANCELLED" in take_recorded(database)


def test_job_without_webhooks_costs_one_query_per_claim(
    context: ServiceContext, database: FlakyDatabase
) -> None:
    job, task = submit(context, definition(webhooks=()))
    statements: list[str] = []
    event.listen(database.engine, "before_cursor_execute", lambda *args: statements.append(args[2]))

    with database.transaction() as tx:
        webhook_outbox.record(tx, webhook_outbox.calls_of_plan(tx, Plan(job=job, added=(task,))))
        webhook_outbox.calls_of_ends(tx, job, [task], TaskState.CANCELLED)
        webhook_outbox.record_claim(tx, task, job_started=True)

    assert len([statement for statement in statements if "FROM" in statement]) == 1


def test_expressions_see_the_time_of_the_datastore(context: ServiceContext, database: FlakyDatabase) -> None:
    submit(context, definition(webhooks=(Webhook(url="http://h/{{ now().Unix() }}"),)))

    with database.transaction() as tx:
        [url] = tx.scalars(select(webhook_calls.c.url))
        now = database.now(tx)
    assert 0 <= now - float(url.removeprefix("http://h/")) < 60


HEAVY = "http://h/{{ len(map(1..10000, # * 2)) }}"


def test_expressions_of_all_webhooks_share_a_budget(context: ServiceContext, database: FlakyDatabase) -> None:
    children = Parallel(tasks=(task_definition(name="a"), task_definition(name="b")))
    hooks = tuple(Webhook(url=HEAVY, event=event) for event in ("job.StateChange", "task.StateChange") * 40)
    composite = TaskDefinition(name="both", parallel=children)

    with capture_logs() as logs:
        job, _ = submit(context, definition(composite, webhooks=hooks))

    assert job_now(database, job.id) == job
    recorded, steps_of_a_call = len(take_recorded(database)), 50_000
    assert 0 < recorded <= webhooks.MAX_STEPS / steps_of_a_call
    skipped = [log for log in logs if log["event"] == "webhook.skipped"]
    assert sum(log["number"] for log in skipped) == 40 + 3 * 40 - recorded
    assert {"the expression takes too many steps"} <= {log["reason"].partition(" (")[0] for log in skipped}


def test_number_of_calls_of_one_transaction_is_bounded(
    context: ServiceContext, database: FlakyDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "MAX_STEPS", 50)
    hooks = (Webhook(url="http://h/"),) * 20

    submit(context, definition(webhooks=hooks))

    assert len(take_recorded(database)) == 5


def test_heavy_webhooks_of_one_job_leave_those_of_others_alone(
    context: ServiceContext, database: FlakyDatabase
) -> None:
    running = []
    for url in (HEAVY, "http://h/"):
        hooks = (Webhook(url=url, event="task.Progress"),) * 20
        _, task = submit(context, definition(webhooks=hooks))
        running.append(claim(database, task))
    take_recorded(database)

    with database.transaction() as tx:
        webhook_outbox.record_progress(tx, {task.id: 50.0 for task in running}, node=NODE)

    with database.reading() as tx:
        streams = tx.scalars(select(webhook_calls.c.stream)).all()
    assert sum(stream.startswith(running[1].id) for stream in streams) == 20
    assert sum(stream.startswith(running[0].id) for stream in streams) < 20
