"""Starting the sidecars of a main step, and waiting until they are ready."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue

from tork_celery.domain import durations
from tork_celery.domain.errors import StepFailed
from tork_celery.runtime.docker.engine_api import EngineApi
from tork_celery.runtime.docker.error_mapping import of_sidecar
from tork_celery.runtime.docker.probes import ProbeRun
from tork_celery.runtime.docker.resource_names import ResourceNames
from tork_celery.runtime.docker.stream_frames import FrameReader
from tork_celery.runtime.protocol import SidecarRun
from tork_celery.runtime.running_steps import KillTimers, RunningStep

_TAIL_LINES = 10
_TAIL_BYTES = 8 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Sidecars:
    """Those of one node, in containers that are made already."""

    api: EngineApi
    names: ResourceNames
    kill_timers: KillTimers

    def start(
        self, sidecars: Sequence[SidecarRun], step: RunningStep, *, started: Callable[[], None]
    ) -> bool:
        """Start all and return when each has passed its probe; `started` is called after the first start.
        False when their step was stopped meanwhile. Raises StepFailed for one that does not pass."""
        for number, sidecar in enumerate(sidecars):
            if not step.proceed():
                return False
            self._start(sidecar)
            if number == 0:
                started()
        return self._await(sidecars, step)

    def _start(self, sidecar: SidecarRun) -> None:
        name = self.names.container(sidecar.ref)
        with of_sidecar(sidecar.definition.name):
            self.api.start(name)
        if timeout := sidecar.definition.timeout:
            self.kill_timers.give(
                sidecar.ref, durations.seconds(timeout), lambda: self.api.kill(name, "SIGKILL")
            )

    def _await(self, sidecars: Sequence[SidecarRun], step: RunningStep) -> bool:
        inbox: SimpleQueue[ProbeRun | None] = SimpleQueue()
        waiting = {
            ProbeRun(self.api, sidecar, sidecar.probe, tell=inbox.put)
            for sidecar in sidecars
            if sidecar.probe
        }
        for probing in waiting:
            probing.start()
        try:
            with step.blocking(lambda: inbox.put(None)):
                while waiting and step.proceed():
                    waiting.discard(self._next(inbox, waiting))
        finally:
            for probing in waiting:
                probing.end()
        return step.proceed()

    def _next(self, inbox: "SimpleQueue[ProbeRun | None]", waiting: set[ProbeRun]) -> ProbeRun | None:
        """A probe that has passed; None when the step is to look up. Raises StepFailed, EngineUnavailable."""
        first = min(waiting, key=lambda probing: probing.until)
        try:
            told = inbox.get(timeout=max(0.0, first.until - time.monotonic()))
        except Empty:
            raise self._failure(first, f"was not ready within {first.probe.timeout}") from None
        if told is not None and told.error is not None:
            raise self._failure(told, str(told.error)) if isinstance(told.error, StepFailed) else told.error
        return told

    def _failure(self, probing: ProbeRun, what: str) -> StepFailed:
        text = f'the sidecar "{probing.sidecar.definition.name}" {what}; its probe, {probing}'
        said = self._last_lines(probing.container)
        return StepFailed(f"{text}; it printed: {said}" if said else text)

    def _last_lines(self, container: str) -> str:
        frames, tail = FrameReader(), b""
        for chunk in self.api.tail(container, lines=_TAIL_LINES):
            for _, data in frames.feed(chunk):
                tail = (tail + data)[-_TAIL_BYTES:]
        lines = tail.decode(errors="replace").replace("\x00", "\N{REPLACEMENT CHARACTER}")
        return "\n".join(lines.rstrip("\n").split("\n")[-_TAIL_LINES:])
