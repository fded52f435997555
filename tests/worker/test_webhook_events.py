"""Claims and progress are recorded for the webhooks of a job."""

import json
from dataclasses import replace

from sqlalchemy import select

from tests.domain.samples import submission, task_definition
from tests.store.stores import FlakyDatabase
from tests.worker.fakes import FakeRuntime, MakeWorker, run_until_finished, running_step
from tork_celery.domain.definition import Webhook
from tork_celery.domain.model import Task
from tork_celery.store import jobs, tasks
from tork_celery.store.tables import webhook_calls

WEBHOOKS = tuple(Webhook(url="http://h/", event=event) for event in ("job.StateChange", "task.Progress"))


def store_task_of_a_job_with_webhooks(database: FlakyDatabase) -> Task:
    plan = submission(task_definition())
    with database.transaction() as tx:
        jobs.add(tx, [replace(plan.job, definition=replace(plan.job.definition, webhooks=WEBHOOKS))])
        tasks.add(tx, plan.added)
    return plan.added[0]


def recorded_calls(database: FlakyDatabase) -> list[tuple[str, str, float]]:
    """Return event, state and progress of each recorded call."""
    with database.reading() as tx:
        rows = tx.execute(select(webhook_calls).order_by(webhook_calls.c.id)).all()
    bodies = [(row.event, json.loads(row.body)) for row in rows]
    return [(event, body["state"], body.get("progress", 0.0)) for event, body in bodies]


def test_claim_and_progress_are_recorded_once(make_worker: MakeWorker, database: FlakyDatabase) -> None:
    runtime = FakeRuntime(run_until_finished)
    worker, task = make_worker(runtime), store_task_of_a_job_with_webhooks(database)

    with running_step(worker, runtime, task.ref):
        assert recorded_calls(database) == [("job.StateChange", "RUNNING", 0.0)]
        runtime.progress_of[task.ref] = 40.0
        worker.renew_leases()
        worker.renew_leases()

    assert recorded_calls(database)[1:] == [("task.Progress", "RUNNING", 40.0)]
