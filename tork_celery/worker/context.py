"""What the parts of a worker have in common."""

from dataclasses import dataclass

from tork_celery.dispatch.dispatcher import Dispatcher
from tork_celery.publisher import Publisher
from tork_celery.runtime.protocol import Runtime
from tork_celery.store import Database
from tork_celery.worker.active_steps import ActiveSteps


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerContext:
    """The node that the worker is, its collaborators, and the steps that it runs."""

    node: str
    database: Database
    dispatcher: Dispatcher
    publisher: Publisher
    runtime: Runtime
    steps: ActiveSteps
    lease_s: float
    """Seconds for which a task belongs to a node after a claim or a renewal."""
