"""What a coordinator does again and again by itself, whether or not there is a broker."""

from tork_celery.periodic_thread import Repeater
from tork_celery.services import schedules
from tork_celery.services.context import Coordinator
from tork_celery.services.webhook_delivery import Courier

_INTERVAL_S = 1.0


class Errands:
    """One thread that makes the scheduled jobs whose time has come and calls the webhooks that are due. Any
    number of processes may run them: each firing and each call is claimed by one."""

    def __init__(
        self, coordinator: Coordinator, *, courier: Courier | None = None, interval_s: float = _INTERVAL_S
    ) -> None:
        self._coordinator = coordinator
        self._courier = courier or Courier(coordinator.database)
        self._repeater = Repeater(
            self.run, name="errands", interval_s=interval_s, missed="errands.missed", broken="errands.broken"
        )

    def start(self) -> None:
        self._repeater.start()

    def stop(self) -> None:
        """Calls that have begun go on to their end."""
        self._repeater.stop()
        self._courier.close()

    def run(self) -> None:
        """Once. Raises DatastoreUnavailable."""
        schedules.fire_due(self._coordinator)
        self._courier.deliver_due()
