"""Whether a standalone system is ready to run jobs, and what it waits for."""

import os
import socket
from collections.abc import Collection

import requests

from tork_celery.domain.errors import DatastoreUnavailable
from tork_celery.store import nodes
from tork_celery.store.database import Database

_HEALTH_TIMEOUT_S = 5  # the API reports a broker that hangs after 3 s


class ReadinessCheck:
    """Ready means: each queue is served by a live node of this host, and the API is healthy.

    `lease_s` is how old the last heartbeat of a live node may be.
    """

    def __init__(self, database: Database, *, queues: Collection[str], api_url: str, lease_s: float) -> None:
        self._database = database
        self._queues = frozenset(queues)
        self._api_url = api_url
        self._lease_s = lease_s

    def is_ready(self) -> bool:
        return self.missing() is None

    def missing(self) -> str | None:
        """Return what keeps the system from being ready; None if it is."""
        try:
            unserved = self._queues - self._served_queues()
        except DatastoreUnavailable as error:
            return str(error)
        if unserved:
            return f"no process serves the queue {', '.join(sorted(unserved))}"
        return self._missing_of_api()

    def _served_queues(self) -> set[str]:
        with self._database.reading() as tx:
            return {
                queue
                for node in nodes.active(tx, within_s=self._lease_s)
                if node.hostname == socket.gethostname() and node.stopped_at is None and is_alive(node.pid)
                for queue in node.queues
            }

    def _missing_of_api(self) -> str | None:
        try:
            response = requests.get(f"{self._api_url}/health", timeout=_HEALTH_TIMEOUT_S)
        except requests.RequestException:
            return f"no answer from {self._api_url}"
        return None if response.ok else f"the API reports: {response.text.strip()}"


def is_alive(pid: int) -> bool:
    """Return whether a process with this id exists, of any user."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it belongs to another user
        return True
    return True
