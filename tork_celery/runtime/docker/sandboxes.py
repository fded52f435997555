"""The sandboxes of a node: containers whose network namespaces its steps join, one step at a time.

Most of a container's start is its network. So a node keeps sandboxes ready, and a step joins one of them. A
step that finds none ready has a network of its own.
"""

import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tork_celery.domain.model import StepRef
from tork_celery.runtime.docker.cleanup_queue import CleanupQueue
from tork_celery.runtime.docker.engine_api import EngineApi
from tork_celery.runtime.docker.engine_images import EngineImages
from tork_celery.runtime.docker.resource_names import ResourceNames
from tork_celery.runtime.docker.sandbox_factory import JOINED, Sandbox, SandboxFactory
from tork_celery.runtime.docker.sandbox_pool import SandboxPool
from tork_celery.runtime.exchange import Exchange
from tork_celery.runtime.protocol import SidecarRun, StepExit, StepRemoved, StepRun

_ENDED = "the sandbox that held the network of the step ended while the step ran"


@dataclass(slots=True)
class _Reservation:
    """The sandbox of a delivery, and the step that has joined it.

    `in_use` says that the step may be running, `clean` that no socket is left in the sandbox.
    """

    sandbox: Sandbox
    ref: StepRef
    in_use: bool = False
    clean: bool = True


@dataclass(slots=True, kw_only=True)
class Sandboxes:
    """The sandboxes that the deliveries of one node have. Thread-safe. Raises as `EngineApi` does."""

    factory: SandboxFactory
    pool: SandboxPool
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)
    _reservations: dict[tuple[str, int], _Reservation] = field(default_factory=dict, init=False)

    def join(self, run: StepRun) -> Sandbox | None:
        """Return the sandbox for a step that is about to be created; None for a network of its own.

        The steps of a delivery have the same sandbox while they leave no socket in it.
        """
        if run.sidecars or run.networks or isinstance(run, SidecarRun):
            return None
        self.pool.start()
        former = self._pop(run.ref.task_id, run.ref.delivery)
        if former is not None and not former.in_use and self.factory.is_running(former.sandbox):
            sandbox: Sandbox | None = former.sandbox
        else:
            if former is not None:  # its step has been removed
                self.pool.discard(former.sandbox)
            sandbox = self.pool.take()
        if sandbox is not None:
            self._reserve(_Reservation(sandbox, run.ref))
        return sandbox

    def adopt(self, ref: StepRef, container: Mapping[str, Any]) -> None:
        """Reserve the sandbox of a step that an earlier process started. `container` is the step's."""
        mode: str = container["HostConfig"]["NetworkMode"]
        if not mode.startswith(JOINED) or self._of_step(ref) is not None:
            return
        sandbox = self.factory.find(mode.removeprefix(JOINED))
        self.pool.add(sandbox)
        self._reserve(_Reservation(sandbox, ref, in_use=True, clean=False))

    def step_starts(self, ref: StepRef) -> None:
        """Record that a step is about to start."""
        reservation = self._of_step(ref)
        if reservation is not None:
            reservation.in_use, reservation.clean = True, False

    def drop_ended(self, ref: StepRef) -> bool:
        """Return whether a step could not start because its sandbox has ended. `join` takes another one."""
        reservation = self._of_step(ref)
        if reservation is None or self.factory.is_running(reservation.sandbox):
            return False
        self._discard(ref)
        return True

    def step_ended(self, ref: StepRef, exit_: StepExit) -> StepExit:
        """Check the sandbox of an ended step, and return the exit of the step.

        Raises StepRemoved when the sandbox ended before the step, which has failed.
        """
        reservation = self._of_step(ref)
        if reservation is None:
            return exit_
        if self.factory.is_running(reservation.sandbox):
            has_sockets = self.factory.has_sockets(reservation.sandbox)
            reservation.in_use, reservation.clean = False, has_sockets is False
            if has_sockets:
                self._discard(ref)
            return exit_
        ended_before = self.factory.ended_before(reservation.sandbox, ref)
        self._discard(ref)
        if not ended_before:
            return exit_
        if exit_.code:
            raise StepRemoved(f"{_ENDED}, so its exit code {exit_.code} does not count")
        return replace(exit_, note="; ".join(filter(None, (exit_.note, _ENDED))))

    def release(self, task_id: str, delivery: int) -> None:
        """Give the sandbox of an ended delivery to the next one, or replace it.

        A sandbox in which a step may be running stays until `remove`.
        """
        with self._lock:
            reservation = self._reservations.get((task_id, delivery))
            if reservation is None or reservation.in_use:
                return
            del self._reservations[task_id, delivery]
        if reservation.clean:
            self.pool.put_back(reservation.sandbox)
        else:
            self.pool.discard(reservation.sandbox)

    def remove(self, task_id: str, delivery: int) -> None:
        """Remove the sandbox of a delivery, if it has one still, and return when that is done.

        Call this after the removal of its steps.
        """
        reservation = self._pop(task_id, delivery)
        if reservation is not None:
            self.pool.remove(reservation.sandbox)

    def collect(self, alive: Callable[[], Collection[str]]) -> None:
        """Remove the sandboxes that dead processes of this host left.

        `alive` returns the other nodes that are alive. A sandbox that a container has joined stays.
        """
        self.pool.collect(alive)

    def close(self) -> None:
        """Make no more sandboxes. Remove all but those of steps that may be running."""
        with self._lock:
            unused = [key for key, each in self._reservations.items() if not each.in_use]
        self.pool.close()
        for key in unused:
            self.release(*key)

    def _reserve(self, reservation: _Reservation) -> None:
        with self._lock:
            self._reservations[reservation.ref.task_id, reservation.ref.delivery] = reservation

    def _of_step(self, ref: StepRef) -> _Reservation | None:
        """Return the reservation of a step. None if another step of its delivery has used the sandbox."""
        with self._lock:
            reservation = self._reservations.get((ref.task_id, ref.delivery))
        return reservation if reservation is not None and reservation.ref == ref else None

    def _discard(self, ref: StepRef) -> None:
        reservation = self._pop(ref.task_id, ref.delivery)
        if reservation is not None:
            self.pool.discard(reservation.sandbox)

    def _pop(self, task_id: str, delivery: int) -> _Reservation | None:
        with self._lock:
            return self._reservations.pop((task_id, delivery), None)


def build_sandboxes(
    *,
    api: EngineApi,
    images: EngineImages,
    names: ResourceNames,
    exchange: Exchange,
    cleanup_queue: CleanupQueue,
    slots: int,
) -> Sandboxes:
    """Return the sandboxes of a node with `slots` slots; 0 makes none, and still adopts and removes them."""
    factory = SandboxFactory(api=api, images=images, names=names, exchange=exchange)
    return Sandboxes(
        factory=factory, pool=SandboxPool(factory=factory, cleanup_queue=cleanup_queue, slots=slots)
    )
