"""Steps for the tests of runtimes, and a sink that records their output."""

import itertools
import threading
import uuid
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, TypeVar

from tork_celery.domain.definition import Limits, Mount, Probe, StepDefinition
from tork_celery.domain.model import StepRef
from tork_celery.runtime.protocol import Runtime, SidecarRun, StepExit, StepRun, Stream

TIMEOUT_S = 30.0
T = TypeVar("T")


class RecordingSink:
    """A sink that records the output and the start of a step, and lets a test wait for output."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._parts: dict[Stream, list[bytes]] = {stream: [] for stream in Stream}
        self.start_count = 0

    def __call__(self, stream: Stream, data: bytes, /) -> None:
        with self._changed:
            self._parts[stream].append(data)
            self._changed.notify_all()

    def started(self) -> None:
        self.start_count += 1

    @property
    def stdout(self) -> bytes:
        return b"".join(self._parts[Stream.STDOUT])

    @property
    def stderr(self) -> bytes:
        return b"".join(self._parts[Stream.STDERR])

    @property
    def notes(self) -> str:
        return b"".join(self._parts[Stream.NOTE]).decode()

    def wait_for(self, text: bytes) -> None:
        """Wait until the step has printed `text` on stdout."""
        with self._changed:
            assert self._changed.wait_for(lambda: text in self.stdout, TIMEOUT_S), self.stdout[-500:]


class StepFactory:
    """Creates steps with unique task ids. `image` is None for runtimes without images."""

    def __init__(self, image: str | None) -> None:
        self.image = image
        self._numbers = itertools.count()
        self._prefix = uuid.uuid4().hex

    def task_id(self) -> str:
        return f"{self._prefix}{next(self._numbers)}"

    def step(
        self,
        script: str | None = None,
        *,
        ref: StepRef | None = None,
        env: dict[str, str] | None = None,
        workdir: str | None = None,
        mounts: tuple[Mount, ...] = (),
        limits: Limits | None = None,
        networks: tuple[str, ...] = (),
        gpus: str | None = None,
        sidecars: tuple[SidecarRun, ...] = (),
        **definition: Any,
    ) -> StepRun:
        return StepRun(
            ref=ref or StepRef(task_id=self.task_id(), delivery=1, step=0),
            job_id="job-1",
            definition=StepDefinition(**{"image": self.image, "run": script, **definition}),
            env=env or {},
            workdir=workdir,
            mounts=mounts,
            limits=limits,
            networks=networks,
            gpus=gpus,
            sidecars=sidecars,
        )

    def sidecar(
        self,
        name: str,
        script: str,
        *,
        main: StepRef,
        number: int = 1,
        probe: Probe | None = None,
        **options: Any,
    ) -> SidecarRun:
        """Create the sidecar with that number of the step `main`."""
        run = self.step(script, ref=replace(main, step=main.step + number), name=name, **options)
        return SidecarRun(**{field.name: getattr(run, field.name) for field in fields(run)}, probe=probe)


def run_step(runtime: Runtime, run: StepRun, sink: RecordingSink | None = None) -> StepExit:
    sink = sink or RecordingSink()
    return runtime.run(run, sink, started=sink.started)


def start_step(runtime: Runtime, run: StepRun, sink: RecordingSink | None = None) -> Future[StepExit]:
    """Run the step in a new thread."""
    return in_thread(lambda: run_step(runtime, run, sink))


def in_thread(call: Callable[[], T]) -> Future[T]:
    """Run `call` in a daemon thread, which does not keep a failed test from ending."""
    future: Future[T] = Future()

    def work() -> None:
        try:
            future.set_result(call())
        except BaseException as error:  # noqa: BLE001  the test sees it
            future.set_exception(error)

    threading.Thread(target=work, daemon=True).start()
    return future


def is_alive(pid: int) -> bool:
    """Return whether the process runs. A zombie does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return stat[stat.rindex(")") + 2] not in "ZX"
