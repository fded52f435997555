"""Remote control commands of workers."""

import threading
from typing import Any

from celery.worker.control import control_command

from tork_celery.dispatch.dispatcher import KILL_STEP
from tork_celery.tasks.app import current_process


@control_command(name=KILL_STEP, args=[("task_id", str), ("delivery", int)])
def kill_step(_state: Any, task_id: str, delivery: int) -> None:
    """Kill the step of a cancelled or stopped task, in a thread: Celery's own thread receives messages."""
    worker = current_process.get().worker
    if worker is not None:
        threading.Thread(target=worker.kill, args=(task_id, delivery), name="kill-step").start()
