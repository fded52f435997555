"""Running steps in a test, and watching them."""

import itertools
import threading
import uuid
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import docker

from tork_celery.domain.definition import Limits, Mount, Probe, StepDefinition
from tork_celery.domain.model import StepRef
from tork_celery.runtime.protocol import Runtime, SidecarRun, StepExit, StepRun, Stream

PATIENCE_S = 30.0


class Recorder:
    """A sink that keeps all, and lets a test wait for what it expects."""

    def __init__(self) -> None:
        self._arrival = threading.Condition()
        self._parts: dict[Stream, list[bytes]] = {stream: [] for stream in Stream}
        self.starts = 0

    def __call__(self, stream: Stream, data: bytes, /) -> None:
        with self._arrival:
            self._parts[stream].append(data)
            self._arrival.notify_all()

    def started(self) -> None:
        with self._arrival:
            self.starts += 1
            self._arrival.notify_all()

    def printed(self, stream: Stream = Stream.STDOUT) -> bytes:
        return b"".join(self._parts[stream])

    @property
    def notes(self) -> str:
        return self.printed(Stream.NOTE).decode()

    def wait_for(self, text: bytes) -> None:
        with self._arrival:
            assert self._arrival.wait_for(lambda: text in self.printed(), PATIENCE_S), self.printed()[-500:]

    def wait_for_note(self, text: str) -> None:
        with self._arrival:
            assert self._arrival.wait_for(lambda: text in self.notes, PATIENCE_S), self.notes


class Steps:
    """Makes steps for one kind of runtime; `image` is None where there are none."""

    def __init__(self, image: str | None) -> None:
        self.image = image
        self._numbers = itertools.count()
        self._run = uuid.uuid4().hex

    def task_id(self) -> str:
        return f"{self._run}{next(self._numbers)}"

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
        beside: StepRef,
        number: int = 1,
        probe: Probe | None = None,
        **more: Any,
    ) -> SidecarRun:
        """One that is to run beside the step of that reference."""
        run = self.step(script, ref=replace(beside, step=beside.step + number), name=name, **more)
        return SidecarRun(**{field.name: getattr(run, field.name) for field in fields(run)}, probe=probe)


def start(runtime: Runtime, run: StepRun, recorder: Recorder) -> "Future[StepExit]":
    """Run it in a thread of its own."""
    return background(lambda: runtime.run(run, recorder, started=recorder.started))


def background(call: Callable[[], Any]) -> "Future[Any]":
    future: Future[Any] = Future()

    def work() -> None:
        try:
            future.set_result(call())
        except BaseException as error:  # noqa: BLE001  the test is told
            future.set_exception(error)

    threading.Thread(target=work, daemon=True).start()
    return future


def is_alive(pid: int) -> bool:
    """Whether the process runs; one that only waits to be reaped does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return stat[stat.rindex(")") + 2] not in "ZX"


def name_of(ref: StepRef) -> str:
    return f"tork-{ref}"


def inspect(client: docker.APIClient, ref: StepRef) -> dict[str, Any]:
    found: dict[str, Any] = client.inspect_container(name_of(ref))
    return found


def is_there(client: docker.APIClient, ref: StepRef) -> bool:
    return bool(client.containers(all=True, filters={"name": name_of(ref)}))
