"""The Celery tasks of a canvas. Each runs one step and then decides on the rest of the chain."""

from typing import Any

from celery import Task
from celery.exceptions import Ignore, Reject

from tork_celery.dispatch.dispatcher import ADVANCE, MAIN, POST, PRE
from tork_celery.domain import queue_names
from tork_celery.domain.model import StepRef
from tork_celery.domain.queue_names import CONTROL_QUEUE
from tork_celery.tasks.app import app, current_process
from tork_celery.worker.worker import ChainAction


@app.task(bind=True, name=PRE)
def pre(self: Task, task_id: str, delivery: int, step: int) -> None:
    _run(self, StepRef(task_id=task_id, delivery=delivery, step=step))


@app.task(bind=True, name=MAIN)
def main(self: Task, task_id: str, delivery: int, step: int) -> None:
    _run(self, StepRef(task_id=task_id, delivery=delivery, step=step))


@app.task(bind=True, name=POST)
def post(self: Task, task_id: str, delivery: int, step: int) -> None:
    _run(self, StepRef(task_id=task_id, delivery=delivery, step=step))


def _run(task: Task, ref: StepRef) -> None:
    worker = current_process.get().worker
    if worker is None:
        raise Reject(f"a coordinator received a step: {ref}", requeue=True)
    apply_to_chain(task.request.chain or [], worker.run(ref), node=worker.node)


def apply_to_chain(rest: list[Any], action: ChainAction, *, node: str) -> None:
    """Change the rest of a chain as the action says. Celery publishes it when the task returns.

    `rest` has the last signature first. Raises Ignore or Reject if nothing follows.
    """
    if action is ChainAction.IGNORE:
        raise Ignore
    if action is ChainAction.REQUEUE:
        raise Reject("the worker does not take the step now", requeue=True)
    if action is ChainAction.ADVANCE:
        del rest[1:]
    for signature in rest:
        if signature["task"] == ADVANCE:
            signature["options"]["queue"] = CONTROL_QUEUE
        else:  # the steps of a task share volumes, so they stay on the node
            signature["options"]["queue"] = queue_names.of_node(node)
