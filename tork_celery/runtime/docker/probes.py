"""Asking sidecars whether they are ready."""

import threading
import time
from collections.abc import Callable
from contextlib import closing
from http.client import HTTPConnection, HTTPException

from tork_celery.domain import durations
from tork_celery.domain.definition import Probe
from tork_celery.domain.errors import StepFailed, TorkError
from tork_celery.runtime.docker.engine_api import EngineApi
from tork_celery.runtime.docker.error_mapping import one_line
from tork_celery.runtime.docker.networks import private
from tork_celery.runtime.docker.resource_names import ResourceNames
from tork_celery.runtime.protocol import SidecarRun

_ATTEMPT_S = 5.0
_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 1.0
_FIRST_BAD_STATUS = 400


class ProbeRun(threading.Thread):
    """Asks one sidecar again and again, until it answers well or ends; `tell` is called then, with `error`
    saying what went wrong. Whoever does not want to wait for that calls `end`.

    A thread, for a server that answers byte by byte can hold it up for as long as the server lives.
    """

    def __init__(
        self, api: EngineApi, sidecar: SidecarRun, probe: Probe, *, tell: Callable[["ProbeRun"], None]
    ) -> None:
        self.container = ResourceNames.container(sidecar.ref)
        super().__init__(name=f"probe of {self.container}", daemon=True)
        self.sidecar = sidecar
        self.probe = probe
        self.until = time.monotonic() + durations.seconds(probe.timeout)
        self.error: TorkError | None = None
        self.last = "no answer"
        self._api = api
        self._tell = tell
        self._over = threading.Event()

    def run(self) -> None:
        pause_s = _FIRST_PAUSE_S
        try:
            while not self._passes():
                if self._over.wait(pause_s):
                    return
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
        except TorkError as error:
            self.error = error
        self._tell(self)

    def end(self) -> None:
        self._over.set()

    def __str__(self) -> str:
        return f"GET {self.probe.path} on port {self.probe.port}: {self.last}"

    def _passes(self) -> bool:
        address = self._address()
        if not address:  # http.client would ask this machine
            self.last = "it has no address"
            return False
        with closing(HTTPConnection(address, self.probe.port, timeout=_ATTEMPT_S)) as connection:
            try:
                connection.request("GET", self.probe.path, headers={"Connection": "close"})
                status = connection.getresponse().status
            except (OSError, HTTPException) as error:
                self.last = _reason(error)
                return False
        self.last = f"status {status}"
        return status < _FIRST_BAD_STATUS

    def _address(self) -> str:
        """Raises StepFailed for a sidecar that has ended."""
        found = self._api.inspect(self.container)
        if found is None:
            raise StepFailed("was removed")
        if not found["State"]["Running"]:
            raise StepFailed(f"ended with exit code {found['State']['ExitCode']}")
        endpoint = found["NetworkSettings"]["Networks"].get(private(self.sidecar), {})
        return str(endpoint.get("IPAddress", ""))


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return one_line(f"no HTTP ({type(error).__name__}: {error})")
