"""The Celery tasks of a canvas: each asks the worker for one step, then settles what becomes of the chain."""

from typing import Any

from celery import Task
from celery.exceptions import Ignore, Reject

from tork_celery.dispatch.dispatcher import ADVANCE, MAIN, POST, PRE
from tork_celery.domain import queue_names
from tork_celery.domain.model import StepRef
from tork_celery.domain.queue_names import CONTROL_QUEUE
from tork_celery.tasks.app import app, process
from tork_celery.worker.worker import ChainAction, Worker


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
    worker = process().worker
    if worker is None:
        raise Reject(f"a step came to a coordinator: {ref}", requeue=True)
    settle(task.request.chain or [], worker.run(ref), worker)


def settle(rest: list[Any], verdict: ChainAction, worker: Worker) -> None:
    """What is left of the chain, last first, is published when this returns."""
    if verdict is ChainAction.IGNORE:
        raise Ignore
    if verdict is ChainAction.REQUEUE:
        raise Reject("the worker stops", requeue=True)
    if verdict is ChainAction.ADVANCE:
        del rest[1:]
    for signature in rest:
        if signature["task"] != ADVANCE:  # volumes are shared, so the steps stay on the node
            signature["options"]["queue"] = queue_names.of_node(worker.node)
        else:
            signature["options"]["queue"] = CONTROL_QUEUE
