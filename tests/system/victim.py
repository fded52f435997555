"""A user of an installation that another user attacks."""

import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial

import requests

from tests.eventually import eventually
from tests.system.installation import Installation

P99_S = 1.0
SMALL_TASK = {"name": "t", "image": "busybox:stable", "run": "echo -n done"}
_JOBS = 60


@dataclass
class Victim:
    """A user who submits small jobs, cancels every third one, and looks at them. Notes how long it takes.

    If a submission `may_be_refused` with 503, for lack of room, the user repeats it.
    """

    installation: Installation
    may_be_refused: bool = False
    latencies_s: list[float] = field(default_factory=list)
    completes: list[str] = field(default_factory=list)

    def work(self) -> None:
        for number in range(_JOBS):
            job = {"name": f"victim {number}", "tasks": [{**SMALL_TASK, "priority": 9}]}
            job_id = eventually(partial(self._submit, job))
            self._timed("GET", f"/jobs/{job_id}")
            if number % 3 == 0:
                self._timed("PUT", f"/jobs/{job_id}/cancel")
            else:
                self.completes.append(job_id)

    def _submit(self, job: object) -> str | None:
        response = self._timed("POST", "/jobs", job)
        return str(response.json()["id"]) if response.ok else None

    def _timed(self, method: str, route: str, document: object = None) -> requests.Response:
        start = time.monotonic()
        response = requests.request(method, self.installation.url + route, json=document, timeout=30)
        self.latencies_s.append(time.monotonic() - start)
        refused = response.status_code == 503 and method == "POST" and self.may_be_refused
        assert refused or response.status_code in (200, 400), response.text  # 400: ended before the cancel
        return response

    def check(self) -> None:
        """Assert that the answers were quick and that every job that was not cancelled completes."""
        p99_s = statistics.quantiles(self.latencies_s, n=100)[98]
        print(
            f"\nvictim: median {statistics.median(self.latencies_s) * 1000:.0f} ms, p99 {p99_s * 1000:.0f} ms"
        )
        assert p99_s < P99_S
        states = {self.installation.wait_for_job(job_id, within_s=180)["state"] for job_id in self.completes}
        assert states == {"COMPLETED"}


@contextmanager
def attacking(attack: Callable[[], object]) -> Iterator[None]:
    """Repeat an attack in a thread while the block runs."""
    over = threading.Event()

    def repeat() -> None:
        while not over.is_set():
            with suppress(requests.RequestException, OSError):
                attack()

    thread = threading.Thread(target=repeat)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(60)
