"""What a coordinator does again and again by itself, whether or not there is a broker."""

import threading

import structlog

from tork_celery.domain.errors import Unavailable
from tork_celery.services import schedules
from tork_celery.services.coordinator import Coordinator
from tork_celery.services.webhooks import Courier

log = structlog.get_logger(__name__)

_INTERVAL_S = 1.0


class Errands:
    """One thread that makes the scheduled jobs whose time has come and calls the webhooks that are due. Any
    number of processes may run them: each firing and each call is claimed by one."""

    def __init__(
        self, coordinator: Coordinator, *, courier: Courier | None = None, interval_s: float = _INTERVAL_S
    ) -> None:
        self._coordinator = coordinator
        self._courier = courier or Courier(coordinator.database)
        self._interval_s = interval_s
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="errands", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Calls that have begun go on to their end."""
        self._stopped.set()
        self._thread.join()
        self._courier.close()

    def run(self) -> None:
        """Once. Raises DatastoreUnavailable."""
        schedules.fire_due(self._coordinator)
        self._courier.deliver_due()

    def _run(self) -> None:
        while not self._stopped.wait(self._interval_s):
            try:
                self.run()
            except Unavailable as error:
                log.warning("errands.missed", reason=str(error))
            except Exception:  # a bug must not end the thread, nor go unheard
                log.exception("errands.broken")
