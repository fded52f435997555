"""The periodic work of a coordinator: scheduled jobs, webhooks and the recovery sweep."""

from tork_celery.periodic_thread import PeriodicThread
from tork_celery.services import schedules
from tork_celery.services.context import ServiceContext
from tork_celery.services.recovery_sweep import RecoverySweep
from tork_celery.services.webhook_delivery import WebhookSender

_DUE_INTERVAL_S = 1.0
_SWEEP_INTERVAL_S = 2.0


class PeriodicWork:
    """Two threads: one fires schedules and calls webhooks, the other sweeps. Neither delays the other.

    A thread waits between two runs, so a process never runs two sweeps at once. Any number of processes may
    run both threads: each firing, each webhook call and each lost task is claimed by one of them.
    """

    def __init__(
        self,
        context: ServiceContext,
        recovery_sweep: RecoverySweep,
        *,
        webhook_sender: WebhookSender | None = None,
        due_interval_s: float = _DUE_INTERVAL_S,
        sweep_interval_s: float = _SWEEP_INTERVAL_S,
    ) -> None:
        self._context = context
        self._webhook_sender = webhook_sender or WebhookSender(context.database)
        self._due_thread = PeriodicThread(
            self.run_due,
            name="periodic-work",
            interval_s=due_interval_s,
            outage_event="periodic_work.missed",
            bug_event="periodic_work.failed",
        )
        self._sweep_thread = PeriodicThread(
            recovery_sweep.sweep,
            name="recovery-sweep",
            interval_s=sweep_interval_s,
            outage_event="sweep.missed",
            bug_event="sweep.failed",
        )

    def start(self) -> None:
        self._due_thread.start()
        self._sweep_thread.start()

    def stop(self) -> None:
        """Stop both threads and wait for the runs in progress; started webhook calls are completed."""
        self._due_thread.request_stop()
        self._sweep_thread.request_stop()
        self._due_thread.stop()
        self._sweep_thread.stop()
        self._webhook_sender.close()

    def run_due(self) -> None:
        """Fire the schedules and start the webhook calls that are due. Raises DatastoreUnavailable."""
        schedules.fire_due(self._context)
        self._webhook_sender.deliver_due()
