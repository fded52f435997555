"""What a worker does when it is told to by remote control."""

import threading
from typing import Any

from celery.worker.control import control_command

from tork_celery.dispatch.dispatcher import KILL_STEP
from tork_celery.tasks.app import process


@control_command(name=KILL_STEP, args=[("task_id", str), ("delivery", int)])
def kill_step(_state: Any, task_id: str, delivery: int) -> None:
    """End the step of a cancelled task. In a thread: this is called where messages are received."""
    worker = process().worker
    if worker is not None:
        threading.Thread(target=worker.kill, args=(task_id, delivery), name="cancel").start()
