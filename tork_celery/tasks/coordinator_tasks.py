"""The Celery tasks of the queue `control`."""

from celery import Task

from tork_celery.dispatch.dispatcher import ADVANCE, CANCEL_SUBJOB, END_TASKS, START_CHILDREN
from tork_celery.services import advance as advance_service
from tork_celery.services import early_end, job_control
from tork_celery.tasks.app import app, current_process


@app.task(bind=True, name=ADVANCE)
def advance(_self: Task, task_id: str, delivery: int) -> None:
    advance_service.advance(current_process.get().context, task_id, delivery)


@app.task(bind=True, name=START_CHILDREN)
def start_children(_self: Task, parent_id: str) -> None:
    advance_service.start_children(current_process.get().context, parent_id)


@app.task(bind=True, name=CANCEL_SUBJOB)
def cancel_subjob(_self: Task, job_id: str) -> None:
    job_control.cancel_subjob(current_process.get().context, job_id)


@app.task(bind=True, name=END_TASKS)
def end_tasks(_self: Task, job_id: str) -> None:
    early_end.end_tasks(current_process.get().context, job_id)
