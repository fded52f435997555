"""The sandboxes that a node keeps ready, and the thread that makes them."""

import threading
import uuid
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

import structlog

from tork_celery.domain.backoff import Backoff
from tork_celery.domain.errors import EngineUnavailable
from tork_celery.periodic_thread import survive_bugs
from tork_celery.runtime.docker.cleanup_queue import CleanupQueue
from tork_celery.runtime.docker.resource_names import NODE, SANDBOX
from tork_celery.runtime.docker.sandbox_factory import Sandbox, SandboxesRefused, SandboxFactory

log = structlog.get_logger(__name__)

MOST_TASKS = 100
"""The number of tasks after which a sandbox is replaced."""
_SPARES = 1
_BACKOFF = Backoff(first_s=1.0, longest_s=60.0)
_CLOSE_TIMEOUT_S = 3.0  # for the sandbox that is being made


@dataclass(slots=True, kw_only=True)
class SandboxPool:
    """Sandboxes for up to `slots` tasks at a time, and a spare one; 0 makes none. Thread-safe.

    It begins with one sandbox and the spare one. Each task that finds none ready adds one.
    """

    factory: SandboxFactory
    cleanup_queue: CleanupQueue
    slots: int
    _changed: threading.Condition = field(default_factory=threading.Condition, init=False)
    _tasks: dict[str, int] = field(default_factory=dict, init=False)
    """The names of all sandboxes of this process, each with the number of tasks that have used it."""
    _idle: list[Sandbox] = field(default_factory=list, init=False)
    _thread: threading.Thread | None = field(default=None, init=False)
    _wanted: int = field(default=1 + _SPARES, init=False)
    _checked: bool = field(default=False, init=False)
    _refused: bool = field(default=False, init=False)
    _closed: bool = field(default=False, init=False)

    def start(self) -> None:
        """Begin to make sandboxes, in the background. Idempotent."""
        with self._changed:
            if self.slots and not self._closed and self._thread is None:
                self._thread = threading.Thread(target=self._work, name="sandboxes", daemon=True)
                self._thread.start()

    def take(self) -> Sandbox | None:
        """Return a sandbox that runs; None if none is ready. Raises EngineUnavailable."""
        while True:
            with self._changed:
                if not self._idle:
                    self._wanted = min(self._wanted + 1, self.slots + _SPARES)
                    self._changed.notify_all()
                    return None
                sandbox = self._idle.pop()
            if self.factory.is_running(sandbox):
                with self._changed:
                    self._tasks[sandbox.name] += 1
                return sandbox
            self.discard(sandbox)

    def add(self, sandbox: Sandbox) -> None:
        """Add a sandbox that an earlier process made, and that a task has now."""
        with self._changed:
            self._tasks[sandbox.name] = 1

    def put_back(self, sandbox: Sandbox) -> None:
        """Keep a sandbox, in which nothing is left, for the next task."""
        with self._changed:
            is_kept = (
                self.slots and not self._closed and self._tasks.get(sandbox.name, MOST_TASKS) < MOST_TASKS
            )
            if is_kept:
                self._idle.append(sandbox)
                self._changed.notify_all()
        if not is_kept:
            self.discard(sandbox)

    def discard(self, sandbox: Sandbox) -> None:
        """Remove a sandbox in which no step runs, in the background. Another one replaces it."""
        self._forget(sandbox.name)
        self._remove(sandbox.name)

    def remove(self, sandbox: Sandbox) -> None:
        """Remove a sandbox as `discard` does, and return when that is done. Raises EngineUnavailable."""
        self._forget(sandbox.name)
        self.factory.remove(sandbox.name)

    def collect(self, alive: Callable[[], Collection[str]]) -> None:
        """Remove the sandboxes of this host that belong to no process and that no container has joined.

        `alive` returns the other nodes that are alive: they remove their own. Raises EngineUnavailable.
        """
        for container_id, labels in self.factory.unjoined():
            with self._changed:
                known = labels[SANDBOX] in self._tasks
            if not known and self.factory.names.is_own(labels, alive=alive):
                log.info("sandbox.removed", sandbox=labels[SANDBOX], node=labels[NODE])
                self._remove(container_id)

    def close(self) -> None:
        """Make no more sandboxes, and remove those that no task has."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            idle = list(self._idle)
            self._idle.clear()
        for sandbox in idle:
            self.discard(sandbox)
        if self._thread is not None:
            self._thread.join(_CLOSE_TIMEOUT_S)

    def _forget(self, name: str) -> None:
        with self._changed:
            self._tasks.pop(name, None)
            self._changed.notify_all()

    def _remove(self, name: str) -> None:
        self.cleanup_queue.submit((name, 0), lambda: self.factory.remove(name))

    def _work(self) -> None:
        """Make the sandboxes that are missing, until `close`, or until the engine refuses them."""
        delays_s = _BACKOFF.delays_s()
        while (name := self._next_name()) is not None:
            try:
                if self._make(name):
                    delays_s = _BACKOFF.delays_s()
                    continue
            except EngineUnavailable as error:
                log.warning("sandbox.failed", reason=str(error))
            self._forget(name)
            self._remove(name)
            with self._changed:
                if self._refused or self._changed.wait_for(lambda: self._closed, next(delays_s)):
                    return

    def _next_name(self) -> str | None:
        """Wait until a sandbox is missing, and return the name of a new one. None after `close`."""
        name = f"tork-sandbox-{uuid.uuid4().hex}"
        with self._changed:
            self._changed.wait_for(lambda: self._closed or len(self._tasks) < self._wanted)
            if self._closed:
                return None
            self._tasks[name] = 0
        return name

    def _make(self, name: str) -> bool:
        """Make one sandbox, and try the first one. Return False if that failed. Raises EngineUnavailable."""
        made = False
        with survive_bugs("sandbox.broken"):
            try:
                sandbox = self.factory.create(name)
                if not self._checked:
                    self.factory.check(sandbox)
                    self._checked = True
                self.put_back(sandbox)
                made = True
            except SandboxesRefused as refusal:
                self._refused = True
                log.warning("sandboxes.off", reason=str(refusal))
        return made
