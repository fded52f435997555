"""The Celery app, and the node process that its tasks use."""

from celery import Celery

from tork_celery.bootstrap.broker import build_celery_app
from tork_celery.node_process import NodeProcess
from tork_celery.tasks.signal_wakeup import SignalWakeup

app: Celery = build_celery_app()
app.steps["consumer"].add(SignalWakeup)
app.conf.imports = (
    "tork_celery.tasks.step_tasks",
    "tork_celery.tasks.coordinator_tasks",
    "tork_celery.tasks.lifecycle",
    "tork_celery.tasks.remote_control",
)


class CurrentProcess:
    """Holder of the node process. `lifecycle` sets it when the Celery worker starts."""

    def __init__(self) -> None:
        self._process: NodeProcess | None = None

    def set(self, process: NodeProcess) -> None:
        self._process = process

    def get(self) -> NodeProcess:
        """Raises RuntimeError outside a Celery worker."""
        if self._process is None:
            raise RuntimeError(
                "no node process: tasks of tork_celery run only in a worker that was started with "
                "`celery -A tork_celery worker`"
            )
        return self._process


current_process = CurrentProcess()
