"""Brings what steps print to the datastore while they run: one thread for all steps of a worker."""

from collections.abc import Sequence
from contextlib import ExitStack

import structlog

from tork_celery.domain.errors import DatastoreUnavailable
from tork_celery.periodic_thread import PeriodicThread
from tork_celery.store import Database, logs, tasks
from tork_celery.worker.active_steps import ActiveStep, ActiveSteps

log = structlog.get_logger(__name__)


class LogShipper:
    """Every `interval_s`, what the active steps have printed is stored, in one transaction."""

    def __init__(self, database: Database, steps: ActiveSteps, *, interval_s: float = 0.5) -> None:
        self._database = database
        self._repeater = PeriodicThread(
            lambda: self.ship(steps.all()),
            name="log-shipper",
            interval_s=interval_s,
            missed="log.not_stored",
            broken="log.shipping_failed",
        )

    def start(self) -> None:
        self._repeater.start()

    def stop(self) -> None:
        self._repeater.stop()

    def make_room(self, step: ActiveStep) -> None:
        """Return once the step's output fits into memory again. A datastore that is away stalls the step: the
        other way would be to lose its output."""
        while step.output.full and step.stop_reason is None:
            if not self.ship([step]) and self._repeater.pause():
                return

    def ship(self, steps: Sequence[ActiveStep], *, final: bool = False) -> bool:
        """Store what these steps have printed; False when the datastore is away. What was printed for a
        delivery that has been superseded is dropped."""
        steps = sorted(steps, key=lambda step: str(step.ref))  # all lock in one order
        with ExitStack() as storing:
            for step in steps:
                storing.enter_context(step.output.storing)
            taken = [(step, parts) for step in steps if (parts := step.output.take(final=final))]
            if not taken:
                return True
            try:
                with self._database.transaction() as tx:
                    current = tasks.current(tx, (step.ref for step, _ in taken))
                    for step, parts in taken:
                        if step.ref in current:
                            logs.add(tx, job_id=step.job_id, ref=step.ref, parts=parts)
            except DatastoreUnavailable as error:
                log.warning("log.not_stored", reason=str(error))
                return False
            for step, _ in taken:
                step.output.stored()
            return True
