"""Stores the output of steps while they run."""

from collections.abc import Sequence
from contextlib import ExitStack

from tork_celery.domain.errors import DatastoreUnavailable
from tork_celery.periodic_thread import PeriodicThread
from tork_celery.store import Database, claims, logs
from tork_celery.worker.active_steps import ActiveStep, ActiveSteps


class LogShipper:
    """One thread for all steps of a worker: every `interval_s` it stores their output in one transaction."""

    def __init__(self, database: Database, steps: ActiveSteps, *, interval_s: float = 0.5) -> None:
        self._database = database
        self._thread = PeriodicThread(
            lambda: self.ship(steps.all()),
            name="log-shipper",
            interval_s=interval_s,
            bug_event="log.shipping_failed",
        )

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._thread.stop()

    def ship(self, steps: Sequence[ActiveStep], *, final: bool = False) -> bool:
        """Store the output of the steps. Return False when the datastore is away, or its disk is full.

        The output of superseded deliveries is dropped. `final` stores open lines too.
        """
        with ExitStack() as stack:
            in_lock_order = sorted(steps, key=lambda step: str(step.ref))
            batches = [
                (step, stack.enter_context(step.output.storing(final=final))) for step in in_lock_order
            ]
            unstored = [(step, batch) for step, batch in batches if batch.parts]
            if not unstored:
                return True
            try:
                self._database.require_room()
                with self._database.transaction() as tx:
                    current = claims.current_refs(tx, (step.ref for step, _ in unstored))
                    for step, batch in unstored:
                        if step.ref in current:
                            logs.add(tx, job_id=step.job_id, ref=step.ref, parts=batch.parts)
            except DatastoreUnavailable:
                return False
            for _, batch in unstored:
                batch.mark_stored()
            return True
