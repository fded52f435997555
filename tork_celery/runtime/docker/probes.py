"""Probes, which find out over HTTP whether a sidecar is ready."""

import threading
import time
from collections.abc import Callable
from contextlib import closing
from http.client import HTTPConnection, HTTPException

from tork_celery.domain import durations
from tork_celery.domain.backoff import Backoff
from tork_celery.domain.definition import Probe
from tork_celery.domain.errors import StepFailed, TorkError
from tork_celery.runtime.docker.engine_api import EngineApi
from tork_celery.runtime.docker.error_mapping import one_line
from tork_celery.runtime.docker.networks import private_network
from tork_celery.runtime.docker.resource_names import ResourceNames
from tork_celery.runtime.protocol import SidecarRun

_CONNECT_TIMEOUT_S = 5.0
_SHORTEST_WAIT_S = 0.001  # 0 is no timeout but a non-blocking socket
_BACKOFF = Backoff(first_s=0.05, longest_s=1.0)
_FIRST_ERROR_STATUS = 400


class ProbeRun(threading.Thread):
    """Sends requests to one sidecar, with back-off, until one succeeds, the sidecar ends, or `stop`.

    Then calls `on_done`, unless stopped; `error` is None when the sidecar is ready. A request may take until
    `deadline`, which the thread does not watch otherwise: a server that sends its answer byte by byte can
    block the thread for any time.
    """

    def __init__(
        self, api: EngineApi, sidecar: SidecarRun, probe: Probe, *, on_done: Callable[["ProbeRun"], None]
    ) -> None:
        self.container = ResourceNames.container(sidecar.ref)
        super().__init__(name=f"probe of {self.container}", daemon=True)
        self.sidecar = sidecar
        self.probe = probe
        self.deadline = time.monotonic() + durations.seconds(probe.timeout)
        self.error: TorkError | None = None
        self._last_result = "no answer"
        self._api = api
        self._on_done = on_done
        self._stopped = threading.Event()

    def run(self) -> None:
        pauses_s = _BACKOFF.delays_s()
        try:
            while not self._is_ready():
                if self._stopped.wait(next(pauses_s)):
                    return
        except TorkError as error:
            self.error = error
        self._on_done(self)

    def stop(self) -> None:
        self._stopped.set()

    def describe(self) -> str:
        """Return the request and the result of its last attempt."""
        return f"GET {self.probe.path} on port {self.probe.port}: {self._last_result}"

    def _is_ready(self) -> bool:
        address = self._address()
        if not address:  # http.client would connect to this host
            self._last_result = "the sidecar has no address"
            return False
        with closing(HTTPConnection(address, self.probe.port, timeout=_CONNECT_TIMEOUT_S)) as connection:
            try:
                connection.connect()
                connection.sock.settimeout(max(_SHORTEST_WAIT_S, self.deadline - time.monotonic()))
                connection.request("GET", self.probe.path, headers={"Connection": "close"})
                status = connection.getresponse().status
            except (OSError, HTTPException) as error:
                self._last_result = _reason(error)
                return False
        self._last_result = f"status {status}"
        return status < _FIRST_ERROR_STATUS

    def _address(self) -> str:
        """Return the sidecar's address, empty without one. Raises StepFailed when the sidecar has ended."""
        container = self._api.inspect(self.container)
        if container is None:
            raise StepFailed("was removed")
        if not container["State"]["Running"]:
            raise StepFailed(f"ended with exit code {container['State']['ExitCode']}")
        endpoint = container["NetworkSettings"]["Networks"].get(private_network(self.sidecar), {})
        return str(endpoint.get("IPAddress", ""))


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return one_line(f"no HTTP ({type(error).__name__}: {error})")
