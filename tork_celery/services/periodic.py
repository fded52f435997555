"""What a coordinator does again and again by itself, whether or not there is a broker."""

from tork_celery.periodic_thread import PeriodicThread
from tork_celery.services import schedules
from tork_celery.services.context import ServiceContext
from tork_celery.services.webhook_delivery import WebhookSender

_INTERVAL_S = 1.0


class PeriodicWork:
    """One thread that makes the scheduled jobs whose time has come and calls the webhooks that are due. Any
    number of processes may run them: each firing and each call is claimed by one."""

    def __init__(
        self,
        context: ServiceContext,
        *,
        webhook_sender: WebhookSender | None = None,
        interval_s: float = _INTERVAL_S,
    ) -> None:
        self._context = context
        self._webhook_sender = webhook_sender or WebhookSender(context.database)
        self._repeater = PeriodicThread(
            self.run, name="errands", interval_s=interval_s, missed="errands.missed", broken="errands.broken"
        )

    def start(self) -> None:
        self._repeater.start()

    def stop(self) -> None:
        """Calls that have begun go on to their end."""
        self._repeater.stop()
        self._webhook_sender.close()

    def run(self) -> None:
        """Once. Raises DatastoreUnavailable."""
        schedules.fire_due(self._context)
        self._webhook_sender.deliver_due()
