"""The Celery app, the one global of the system; and what its tasks work with in this process."""

from dataclasses import dataclass

from celery import Celery

from tork_celery import bootstrap
from tork_celery.services.context import ServiceContext
from tork_celery.services.periodic import PeriodicWork
from tork_celery.tasks.signal_wakeup import WakeUp
from tork_celery.worker.heartbeat import Heartbeat
from tork_celery.worker.worker import Worker

app: Celery = bootstrap.celery_app()
app.steps["consumer"].add(WakeUp)
app.conf.imports = (
    "tork_celery.tasks.step_tasks",
    "tork_celery.tasks.coordinator_tasks",
    "tork_celery.tasks.lifecycle",
    "tork_celery.tasks.remote_control",
)


@dataclass(slots=True)
class Process:
    """What this process is: set when its Celery worker has been set up. `worker` is None in one that serves
    the control queue alone, `periodic_work` in one that does not serve it."""

    context: ServiceContext
    heartbeat: Heartbeat
    worker: Worker | None
    periodic_work: PeriodicWork | None


_process: list[Process] = []


def become(process: Process) -> None:
    """From now on the tasks of this process work with this."""
    _process[:] = [process]


def process() -> Process:
    return _process[0]
