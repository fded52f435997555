"""What a worker does to a job is noted for its webhooks."""

import json
from collections.abc import Callable
from dataclasses import replace

from sqlalchemy import select

from tests.domain.samples import submission, task_definition
from tests.store.stores import CuttableDatabase
from tests.worker.fakes import FakeRuntime, hold
from tests.worker.threads import at_work
from tork_celery.domain.definition import Webhook
from tork_celery.domain.model import Task
from tork_celery.store import jobs, tasks
from tork_celery.store.tables import webhook_calls
from tork_celery.worker.heartbeat import renew
from tork_celery.worker.worker import Worker

HOOKS = tuple(Webhook(url="http://h/", event=event) for event in ("job.StateChange", "task.Progress"))


def store(database: CuttableDatabase) -> Task:
    plan = submission(task_definition())
    with database.transaction() as tx:
        jobs.add(tx, replace(plan.job, definition=replace(plan.job.definition, webhooks=HOOKS)))
        tasks.add(tx, plan.added)
    return plan.added[0]


def told(database: CuttableDatabase) -> list[tuple[str, str, float]]:
    with database.reading() as tx:
        rows = tx.execute(select(webhook_calls).order_by(webhook_calls.c.id)).all()
    bodies = [(row.event, json.loads(row.body)) for row in rows]
    return [(event, body["state"], body.get("progress", 0.0)) for event, body in bodies]


def test_a_claim_and_the_progress_of_a_step_are_told(
    make_worker: Callable[[FakeRuntime], Worker], database: CuttableDatabase
) -> None:
    runtime = FakeRuntime(hold)
    worker, task = make_worker(runtime), store(database)

    with at_work(worker, runtime, task.ref):
        assert told(database) == [("job.StateChange", "RUNNING", 0.0)]
        runtime.progresses[task.ref] = 40.0
        renew(worker)
        renew(worker)

    assert told(database)[1:] == [("task.Progress", "RUNNING", 40.0)]
