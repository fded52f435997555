"""Start of a step's sidecars, which ends when all of them are ready."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue

from tork_celery.domain import durations
from tork_celery.domain.errors import StepFailed
from tork_celery.runtime.docker.engine_api import EngineApi
from tork_celery.runtime.docker.error_mapping import name_sidecar_in_errors
from tork_celery.runtime.docker.probes import ProbeRun
from tork_celery.runtime.docker.resource_names import ResourceNames
from tork_celery.runtime.docker.stream_frames import FrameReader
from tork_celery.runtime.protocol import SidecarRun
from tork_celery.runtime.running_steps import KillTimers, RunningStep

_TAIL_LINES = 10
_TAIL_CHARACTERS = 8 * 1024
_READ_BYTES = 64 * 1024  # more than is shown: a secret at the beginning is cut, and no mask finds it


@dataclass(frozen=True, slots=True, kw_only=True)
class Sidecars:
    """The sidecars of one node. Their containers are created before."""

    api: EngineApi
    names: ResourceNames
    kill_timers: KillTimers

    def start(
        self, sidecars: Sequence[SidecarRun], step: RunningStep, *, started: Callable[[], None]
    ) -> bool:
        """Start all sidecars of a step, and wait until their probes pass.

        Call `started` after the first start. Return False when the step was killed meanwhile. Raises
        StepFailed when a sidecar ends or is not ready in time, EngineUnavailable, Detached.
        """
        for index, sidecar in enumerate(sidecars):
            if not step.may_continue():
                return False
            self._start(sidecar)
            if index == 0:
                started()
        return self._wait_for_probes(sidecars, step)

    def _start(self, sidecar: SidecarRun) -> None:
        name = self.names.container(sidecar.ref)
        with name_sidecar_in_errors(sidecar.definition.name):
            self.api.start(name)
        if timeout := sidecar.definition.timeout:
            self.kill_timers.start(
                sidecar.ref, durations.seconds(timeout), lambda: self.api.kill(name, "SIGKILL")
            )

    def _wait_for_probes(self, sidecars: Sequence[SidecarRun], step: RunningStep) -> bool:
        inbox: SimpleQueue[ProbeRun | None] = SimpleQueue()
        pending = {
            ProbeRun(self.api, sidecar, sidecar.probe, on_done=inbox.put)
            for sidecar in sidecars
            if sidecar.probe
        }
        for probe_run in pending:
            probe_run.start()
        try:
            with step.interruptible(lambda: inbox.put(None)):
                while pending and step.may_continue():
                    pending.discard(self._next_done(inbox, pending))
        finally:
            for probe_run in pending:
                probe_run.stop()
        return step.may_continue()

    def _next_done(self, inbox: "SimpleQueue[ProbeRun | None]", pending: set[ProbeRun]) -> ProbeRun | None:
        """Wait for a probe that passes. None when interrupted. Raises StepFailed, EngineUnavailable."""
        first = min(pending, key=lambda probe_run: probe_run.deadline)
        try:
            done = inbox.get(timeout=max(0.0, first.deadline - time.monotonic()))
        except Empty:
            raise self._failure(first, f"was not ready within {first.probe.timeout}") from None
        if done is not None and done.error is not None:
            raise self._failure(done, str(done.error)) if isinstance(done.error, StepFailed) else done.error
        return done

    def _failure(self, probe_run: ProbeRun, what: str) -> StepFailed:
        text = f'the sidecar "{probe_run.sidecar.definition.name}" {what}; its probe, {probe_run.describe()}'
        output = self._last_lines(probe_run)
        return StepFailed(f"{text}; it printed: {output}" if output else text)

    def _last_lines(self, probe_run: ProbeRun) -> str:
        """Return the last lines of a sidecar, masked before they are cut."""
        frames, tail = FrameReader(), b""
        for chunk in self.api.tail(probe_run.container, lines=_TAIL_LINES):
            for _, data in frames.feed(chunk):
                tail = (tail + data)[-_READ_BYTES:]
        lines = tail.decode(errors="replace").replace("\x00", "\N{REPLACEMENT CHARACTER}")
        masked = probe_run.sidecar.mask(lines)[-_TAIL_CHARACTERS:]
        return "\n".join(masked.rstrip("\n").split("\n")[-_TAIL_LINES:])
