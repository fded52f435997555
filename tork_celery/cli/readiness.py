"""Whether a standalone system is ready to run jobs."""

import os
import socket
from collections.abc import Collection

import requests

from tork_celery.store import nodes
from tork_celery.store.database import Database


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
        return self._queues <= self._served_queues() and self._api_is_healthy()

    def _served_queues(self) -> set[str]:
        with self._database.reading() as tx:
            return {
                queue
                for node in nodes.active(tx, within_s=self._lease_s)
                if node.hostname == socket.gethostname() and node.stopped_at is None and is_alive(node.pid)
                for queue in node.queues
            }

    def _api_is_healthy(self) -> bool:
        try:
            return requests.get(f"{self._api_url}/health", timeout=2).ok
        except requests.RequestException:
            return False


def is_alive(pid: int) -> bool:
    """Return whether a process with this id exists, of any user."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it belongs to another user
        return True
    return True
