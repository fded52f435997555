"""Notice when the kernel kills a process of a container because the container exceeds its memory limit.

The engine reports that too, but it sometimes misses the event of a container that ends. The counter in the
container's cgroup is exact, but the kernel removes it before the engine reports the end. So this module asks
the kernel to be notified, by the interface of version 1 or 2 of cgroups.
"""

import os
import select
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from tork_celery.domain.model import StepRef
from tork_celery.periodic_thread import survive_bugs

_CGROUPS = Path("/sys/fs/cgroup")
_PROC = Path("/proc")
_ID = "<id>"
# Where engines create the cgroups of containers: Docker with cgroupfs and with systemd, Podman.
_LAYOUTS = (
    f"memory/docker/{_ID}",
    f"docker/{_ID}",
    f"memory/system.slice/docker-{_ID}.scope",
    f"system.slice/docker-{_ID}.scope",
    f"machine.slice/libpod-{_ID}.scope",
)
_COUNTER = "oom_kill "
_V1_OOM_AND_REMOVAL = 2
_MOST_BYTES = 4096
_START_POLL_S = 0.002  # how often to look for the cgroup of a container that is starting


class MemoryCgroup(Protocol):
    """The cgroup of a container. `fd` becomes ready, for `events` of epoll, when `check` may have news."""

    fd: int
    events: int

    def check(self) -> bool:
        """Return whether a process was killed. Raises OSError when the cgroup is gone and that is unknown."""

    def close(self) -> None: ...


class _V1:
    """Version 1: an eventfd counts one event for each lack of memory, and one for the cgroup's removal."""

    events = select.EPOLLIN

    def __init__(self, directory: Path) -> None:
        self._control = directory / "memory.oom_control"
        self._count = 0
        self.fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        try:
            with self._control.open() as control:
                (directory / "cgroup.event_control").write_text(f"{self.fd} {control.fileno()}")
        except OSError:
            os.close(self.fd)
            raise

    def check(self) -> bool:
        with suppress(BlockingIOError):  # no event since the last check
            self._count += os.eventfd_read(self.fd)
        try:
            return _kills(self._control.read_text()) > 0
        except OSError:
            if self._count >= _V1_OOM_AND_REMOVAL:
                return True
            raise

    def close(self) -> None:
        os.close(self.fd)


class _V2:
    """Version 2: a file whose changes epoll reports."""

    events = select.EPOLLPRI

    def __init__(self, directory: Path) -> None:
        self.fd = os.open(directory / "memory.events", os.O_RDONLY | os.O_CLOEXEC)

    def check(self) -> bool:
        return _kills(os.pread(self.fd, _MOST_BYTES, 0).decode()) > 0

    def close(self) -> None:
        os.close(self.fd)


def open_cgroup(directory: Path) -> MemoryCgroup:
    """Return the memory cgroup in a directory. Raises OSError."""
    return _V2(directory) if (directory / "memory.events").exists() else _V1(directory)


def directory_of(pid: int, *, proc: Path = _PROC, cgroups: Path = _CGROUPS) -> Path:
    """Return the directory of the memory cgroup of a process. Raises OSError when the process has ended."""
    unified = "/"
    for line in (proc / str(pid) / "cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", maxsplit=2)
        if "memory" in controllers.split(","):
            return cgroups / "memory" / path.lstrip("/")
        if not controllers:
            unified = path
    return cgroups / unified.lstrip("/")


class OomWatcher:
    """Watches the containers of steps, from their start until `forget`. Thread-safe.

    The thread starts with the first container. A container whose cgroup this host does not show is not
    watched.
    """

    def __init__(self, *, cgroups: Path = _CGROUPS) -> None:
        self._root = cgroups
        self._lock = threading.Lock()
        self._cgroups: dict[StepRef, MemoryCgroup] = {}
        self._steps: dict[int, StepRef] = {}
        self._killed = set[StepRef]()
        self._layouts = [str(cgroups / layout) for layout in _LAYOUTS]
        self._expected: dict[StepRef, str] = {}  # the ids of their containers
        self._epoll = select.epoll()
        self._wakeup = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._epoll.register(self._wakeup, select.EPOLLIN)
        self._closed = False
        self._thread: threading.Thread | None = None

    def expect(self, ref: StepRef, container_id: str) -> None:
        """Watch a container as soon as it starts. Call `watch` when it has started."""
        with self._lock:
            if self._closed:
                return
            self._expected[ref] = container_id
            os.eventfd_write(self._wakeup, 1)
            self._start_thread()

    def watch(self, ref: StepRef, container_id: str, pid: Callable[[], int]) -> None:
        """Watch a container that has started, unless it is watched already.

        `pid` returns the id of its process on this host, or 0 when it has ended.
        """
        with self._lock:
            self._expected.pop(ref, None)
            if ref in self._cgroups:
                return
        number = pid()
        with suppress(OSError), self._lock:  # it has ended, or the engine is on another machine
            if self._closed:
                return
            directory = directory_of(number, cgroups=self._root)
            if (layout := str(directory).replace(container_id, _ID)) not in self._layouts:
                self._layouts.append(layout)
            self._open(ref, directory)
            self._start_thread()

    def _open(self, ref: StepRef, directory: Path) -> None:
        """Watch the cgroup in a directory. Call with the lock. Raises OSError."""
        cgroup = open_cgroup(directory)
        self._cgroups[ref], self._steps[cgroup.fd] = cgroup, ref
        with suppress(PermissionError):  # a file that epoll does not support
            self._epoll.register(cgroup.fd, cgroup.events)
        self._check(cgroup.fd)  # what happened before

    def _start_thread(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="oom watcher", daemon=True)
            self._thread.start()

    def was_killed(self, ref: StepRef) -> bool:
        """Return whether a process of the step was killed for lack of memory."""
        with self._lock:
            if ref in self._cgroups:
                self._check(self._cgroups[ref].fd)
            return ref in self._killed

    def forget(self, ref: StepRef) -> None:
        with self._lock:
            self._killed.discard(ref)
            self._expected.pop(ref, None)
            cgroup = self._cgroups.pop(ref, None)
            if cgroup is not None:
                del self._steps[cgroup.fd]
                cgroup.close()  # which removes it from epoll

    def close(self) -> None:
        """Forget all steps and stop the thread. Afterwards no step is watched. Idempotent."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            os.eventfd_write(self._wakeup, 1)
        if self._thread is not None:
            self._thread.join()
        for ref in list(self._cgroups):
            self.forget(ref)
        self._epoll.close()
        os.close(self._wakeup)

    def _run(self) -> None:
        while not self._closed:
            with survive_bugs("runtime.oom_watcher_failed"):
                ready = self._epoll.poll(_START_POLL_S if self._expected else None)
                with self._lock:
                    for fd, _ in ready:
                        if fd == self._wakeup:
                            os.eventfd_read(fd)
                        else:
                            self._check(fd)
                    self._open_expected()

    def _open_expected(self) -> None:
        """Watch the containers that are starting. Call with the lock."""
        for ref, container_id in list(self._expected.items()):
            for layout in self._layouts:
                with suppress(OSError):  # it does not exist yet
                    self._open(ref, Path(layout.replace(_ID, container_id)))
                    del self._expected[ref]
                    break

    def _check(self, fd: int) -> None:
        """Check one cgroup. Call with the lock."""
        ref = self._steps.get(fd)
        if ref is None or ref in self._killed:
            return
        try:
            if not self._cgroups[ref].check():
                return
            self._killed.add(ref)
        except OSError:  # the container has ended
            pass
        with suppress(OSError):  # it may have been removed before
            # epoll would report the same without end.
            self._epoll.unregister(fd)


def _kills(text: str) -> int:
    """Return the counter of kills in the text of `memory.oom_control` or `memory.events`."""
    return int(next((line.split()[1] for line in text.splitlines() if line.startswith(_COUNTER)), 0))
