"""The periodic work of a coordinator: scheduled jobs, retries, webhooks and the recovery sweep."""

from collections.abc import Callable

from tork_celery.periodic_thread import PeriodicThread
from tork_celery.services import schedule_firing
from tork_celery.services.context import ServiceContext
from tork_celery.services.due_retries import RetryTimer
from tork_celery.services.recovery_sweep import RecoverySweep
from tork_celery.services.webhook_client import WebhookClient
from tork_celery.services.webhook_delivery import WebhookSender

_DUE_INTERVAL_S = 1.0
_SWEEP_INTERVAL_S = 2.0


class PeriodicWork:
    """Four threads: for schedules, retries, webhook calls and the sweep. None delays another.

    A thread waits between two runs, so a process never runs two sweeps at once. Any number of processes may
    run these threads: each firing, retry, webhook call and lost task is claimed by one of them.
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
        client = WebhookClient(targets=context.webhook_targets)
        self._webhook_sender = webhook_sender or WebhookSender(context.database, post=client.post)
        self._schedule_thread = self._due_thread(self.fire_schedules, "schedules", due_interval_s)
        self._retry_timer = RetryTimer(context)
        self._webhook_thread = self._due_thread(self._webhook_sender.deliver_due, "webhooks", due_interval_s)
        self._sweep_thread = PeriodicThread(
            recovery_sweep.sweep,
            name="recovery-sweep",
            interval_s=sweep_interval_s,
            bug_event="sweep.failed",
        )

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stop the threads and wait for the runs in progress; started webhook calls are completed."""
        for thread in self._threads:
            thread.request_stop()
        for thread in self._threads:
            thread.stop()
        self._webhook_sender.close()

    def fire_schedules(self) -> None:
        """Fire the schedules that are due, until the thread is to stop. Raises DatastoreUnavailable."""
        schedule_firing.fire_due(self._context, stopping=lambda: self._schedule_thread.stopping)

    @property
    def _threads(self) -> tuple[PeriodicThread | RetryTimer, ...]:
        return self._schedule_thread, self._retry_timer, self._webhook_thread, self._sweep_thread

    @staticmethod
    def _due_thread(action: Callable[[], object], name: str, interval_s: float) -> PeriodicThread:
        return PeriodicThread(
            action,
            name=name,
            interval_s=interval_s,
            bug_event="periodic_work.failed",
        )
