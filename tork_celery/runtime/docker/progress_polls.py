"""Progress files that only the engine can read, read in a thread of their own: a heartbeat must not wait."""

import threading
from collections.abc import Callable
from queue import SimpleQueue

from tork_celery.domain.errors import TorkError
from tork_celery.domain.model import StepRef
from tork_celery.periodic_thread import survive_bugs


class ProgressPolls:
    """Reads the progress of a step each time that it is asked for, and answers with what it read before.

    `read` returns the percentage of a step. The thread starts with the first question.
    """

    def __init__(self, read: Callable[[StepRef], float | None]) -> None:
        self._read = read
        self._lock = threading.Lock()
        self._latest: dict[StepRef, float | None] = {}
        self._waiting: SimpleQueue[StepRef | None] = SimpleQueue()
        self._queued = set[StepRef]()
        self._thread: threading.Thread | None = None

    def latest(self, ref: StepRef) -> float | None:
        """Return the last known progress. A step that is asked for again is read at most once meanwhile."""
        with self._lock:
            if ref not in self._queued:
                self._queued.add(ref)
                self._waiting.put(ref)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="progress polls", daemon=True)
                self._thread.start()
            return self._latest.get(ref)

    def forget(self, ref: StepRef) -> None:
        with self._lock:
            self._latest.pop(ref, None)

    def close(self) -> None:
        """Stop the thread after its current call."""
        self._waiting.put(None)

    def _run(self) -> None:
        while (ref := self._waiting.get()) is not None:
            with survive_bugs("runtime.progress_failed"):
                self._poll(ref)

    def _poll(self, ref: StepRef) -> None:
        try:
            progress = self._read(ref)
        except TorkError:  # the engine is away or busy; the next heartbeat asks again
            progress = None
        with self._lock:
            self._queued.discard(ref)
            if progress is not None:
                self._latest[ref] = progress
