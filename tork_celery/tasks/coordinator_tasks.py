"""The Celery tasks of the queue `control`."""

from celery import Task

from tork_celery.dispatch.dispatcher import ADVANCE, END, FILL, RECONCILE
from tork_celery.services.advance import advance as advance_task
from tork_celery.services.plan_runner import end_orphan
from tork_celery.services.plan_runner import fill as fill_composite
from tork_celery.tasks.app import app, process


@app.task(bind=True, name=ADVANCE)
def advance(_self: Task, task_id: str, delivery: int) -> None:
    advance_task(process().coordinator, task_id, delivery)


@app.task(bind=True, name=FILL)
def fill(_self: Task, parent_id: str) -> None:
    fill_composite(process().coordinator, parent_id)


@app.task(bind=True, name=END)
def end(_self: Task, job_id: str) -> None:
    end_orphan(process().coordinator, job_id)


@app.task(bind=True, name=RECONCILE)
def reconcile(_self: Task) -> None:
    process().reconciler.sweep()
