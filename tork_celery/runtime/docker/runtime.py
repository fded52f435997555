"""The Docker runtime: how the container of a step is created, started, followed, killed and removed."""

import json
import math
import socket
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

from tork_celery.domain.backoff import PASSING
from tork_celery.domain.errors import EngineFailed, EngineUnavailable
from tork_celery.domain.model import StepRef
from tork_celery.runtime.docker.cleanup_queue import CleanupQueue
from tork_celery.runtime.docker.container_factory import ContainerFactory
from tork_celery.runtime.docker.disk_usage import DiskUsage
from tork_celery.runtime.docker.engine_api import EngineApi, ObjectMissing
from tork_celery.runtime.docker.engine_connection import EngineConnection
from tork_celery.runtime.docker.engine_images import EngineImages
from tork_celery.runtime.docker.image_gc import ImageGc
from tork_celery.runtime.docker.image_pulls import ImagePulls
from tork_celery.runtime.docker.memory_notes import MemoryNotes
from tork_celery.runtime.docker.networks import Networks
from tork_celery.runtime.docker.policy import ContainerPolicy
from tork_celery.runtime.docker.resource_names import STEP, ResourceNames
from tork_celery.runtime.docker.resource_removal import ResourceRemoval
from tork_celery.runtime.docker.resource_tracker import ResourceTracker
from tork_celery.runtime.docker.sandboxes import build_sandboxes
from tork_celery.runtime.docker.sidecars import Sidecars
from tork_celery.runtime.docker.step_files import StepFiles, files_belong_in_container
from tork_celery.runtime.docker.stream_frames import FrameReader, LogReader
from tork_celery.runtime.exchange import Exchange, NotRegularFile, unusable_output
from tork_celery.runtime.protocol import Disk, Leftovers, Sink, StepExit, StepRemoved, StepRun, Stream
from tork_celery.runtime.running_steps import KILLED_BEFORE_START, KillTimers, RunningStep, RunningSteps

_ENDED_STATES = {"exited", "dead"}
_CLEANUP_THREADS = 4
_CONNECTIONS_PER_STEP = 2  # one for the output, one for calls
_MOST_REPLACEMENTS = 10
_REMOVED_NOTE = b"another program removed the step's container; creating it again\n"


class DockerRuntime:
    """Runs each step in its own container. Connects to the engine at the first call.

    - `cluster`: the installation, which labels tell from others that use the same engine.
    - `url`: the engine; None for the default socket.
    - `pool_size`: the number of steps that run at the same time.
    - `policy`: what the containers of tasks may do.
    - `pull_always`: pull images that are already there, too.
    - `image_ttl_s`: remove pulled images that were unused for this time; None keeps them.
    - `sandbox`: let steps join the networks of sandboxes, which start faster.
    - `files_in_container`: keep all files of a step in its container. By default the user of this process
      and the file system of `work_dir` decide.
    """

    adopts = True

    def __init__(
        self,
        *,
        cluster: str,
        node: str,
        work_dir: Path,
        url: str | None,
        log_limit_bytes: int,
        pull_timeout_s: float,
        pool_size: int,
        policy: ContainerPolicy | None = None,
        pull_always: bool = False,
        image_ttl_s: float | None = None,
        sandbox: bool = True,
        files_in_container: bool | None = None,
    ) -> None:
        self.policy = policy or ContainerPolicy()
        self._names = ResourceNames(cluster=cluster, node=node, host=socket.gethostname())
        self._exchange = Exchange(work_dir=work_dir, node=node)
        self._connection = EngineConnection(
            url, connections=_CONNECTIONS_PER_STEP * pool_size + 2 * _CLEANUP_THREADS
        )
        self._api = EngineApi(self._connection)
        if files_in_container is None:
            files_in_container = files_belong_in_container(work_dir)
        self._files = StepFiles(
            api=self._api, names=self._names, exchange=self._exchange, in_container=files_in_container
        )
        images = EngineImages(self._connection)
        self._running = RunningSteps()
        self._resources = ResourceTracker()
        self._pulls = ImagePulls(images, timeout_s=pull_timeout_s)
        self._kill_timers = KillTimers()
        self._memory_notes = MemoryNotes(api=self._api, names=self._names)
        self._cleanup_queue = CleanupQueue(threads=_CLEANUP_THREADS)
        self._image_gc = ImageGc(images=images, directory=work_dir.parent / "images", ttl_s=image_ttl_s)
        self._sandboxes = build_sandboxes(
            api=self._api,
            images=images,
            names=self._names,
            exchange=self._exchange,
            cleanup_queue=self._cleanup_queue,
            slots=pool_size if sandbox else 0,
        )
        self._container_factory = ContainerFactory(
            api=self._api,
            names=self._names,
            files=self._files,
            resources=self._resources,
            pulls=self._pulls,
            image_gc=self._image_gc,
            networks=Networks(api=self._api, names=self._names),
            sandboxes=self._sandboxes,
            log_limit_bytes=log_limit_bytes,
            policy=self.policy,
            pull_always=pull_always,
        )
        self._disk_usage = DiskUsage(
            connection=self._connection, names=self._names, exchange=self._exchange, work_dir=work_dir
        )
        self._removal = ResourceRemoval(
            api=self._api, names=self._names, exchange=self._exchange, resources=self._resources
        )
        self._sidecars = Sidecars(api=self._api, names=self._names, kill_timers=self._kill_timers)

    def run(self, run: StepRun, sink: Sink, *, started: Callable[[], None]) -> StepExit:
        with (
            self._running.enter(run.ref) as step,
            step.interruptible(self._connection.interrupter()),
            _missing_counts_as_failure(),
        ):
            if not self._container_factory.create(run, step, sink):
                return KILLED_BEFORE_START
            if not self._sidecars.start(run.sidecars, step, started=started):
                return KILLED_BEFORE_START
            for _ in range(_MOST_REPLACEMENTS):
                try:
                    return self._run_main(run, step, sink, started)
                except ObjectMissing:
                    if not self._sandboxes.drop_ended(run.ref):
                        if self._api.inspect(self._names.container(run.ref)) is not None:
                            raise
                        sink(Stream.NOTE, _REMOVED_NOTE)
                    if not self._container_factory.replace(run, step, sink):
                        return KILLED_BEFORE_START
            return self._run_main(run, step, sink, started)

    def follow(self, ref: StepRef, sink: Sink) -> StepExit | None:
        name = self._names.container(ref)
        with (
            self._running.enter(ref) as step,
            step.interruptible(self._connection.interrupter()),
            _missing_counts_as_failure(),
        ):
            container = self._container_factory.find_started(ref)
            if container is None:
                self._container_factory.remove(ref)
                return None
            step.mark_started(lambda grace_s: self._kill(ref, grace_s))
            self._sandboxes.adopt(ref, container)
            self._memory_notes.watch(ref, container)
            with closing(self._api.logs(name)) as stream, step.interruptible(stream.interrupt):
                _drain(LogReader().read(stream.chunks()), step, sink)
            return replace(
                self._wait_for_exit(ref, step), ended_before_follow=not container["State"]["Running"]
            )

    def kill(self, ref: StepRef, *, grace_s: float = 0.0) -> None:
        if not self._running.kill(ref, grace_s):
            self._kill(ref, grace_s)

    def detach(self) -> None:
        self._running.detach()

    def progress(self, ref: StepRef) -> float | None:
        return self._files.progress(ref)

    def used_bytes(self, task_id: str, delivery: int, *, enough: float = math.inf) -> float:
        return self._exchange.used_bytes(task_id, delivery, enough=enough)

    def free_space(self, ref: StepRef) -> None:
        self._exchange.free_space(ref)

    def free_ended(self) -> None:
        for container in self._api.containers([*self._names.node_filter(), STEP]):
            if container["State"] in _ENDED_STATES:
                self._exchange.free_space(self._names.step(container["Labels"]))

    def kill_largest(self, *, at_least_bytes: float) -> bool:
        refs = self._exchange.largest_delivery(at_least_bytes=at_least_bytes)
        for ref in refs:
            self._api.kill(self._names.container(ref), "SIGKILL")
            self._exchange.free_space(ref)
        return bool(refs)

    def disks(self) -> Sequence[Disk]:
        return self._disk_usage.disks()

    def remove_step(self, ref: StepRef) -> None:
        self._kill_timers.cancel(ref)
        self._running.forget(ref)
        self._cleanup_queue.submit((ref.task_id, ref.delivery), lambda: self._remove_step(ref))

    def reset_step(self, ref: StepRef) -> None:
        self._kill_timers.cancel(ref)
        self._remove_step(ref)

    def remove_delivery(self, task_id: str, delivery: int) -> None:
        self._sandboxes.release(task_id, delivery)
        self._cleanup_queue.submit((task_id, delivery), lambda: self._remove_delivery(task_id, delivery))

    def leftovers(self) -> Iterable[Leftovers]:
        return self._removal.leftovers()

    def collect_garbage(self, *, alive: Callable[[], Collection[str]]) -> None:
        self._sandboxes.collect(alive)
        self._cleanup_queue.submit(("images", 0), self._image_gc.collect)

    def check(self, *, within_s: float = 5.0) -> None:
        self._connection.ping(within_s=within_s)

    def describe(self) -> str:
        version = self._api.version()
        name = version.get("Platform", {}).get("Name") or "Docker Engine"
        return f"{name} {version.get('Version', '')}".strip()

    def close(self) -> None:
        self._kill_timers.close()
        self._sandboxes.close()
        self._files.close()
        self._memory_notes.close()
        self._pulls.close()
        self._cleanup_queue.close()
        self._connection.close()

    def _run_main(self, run: StepRun, step: RunningStep, sink: Sink, started: Callable[[], None]) -> StepExit:
        """Start the container of a step and follow it. Raises ObjectMissing before it has started."""
        name = self._names.container(run.ref)
        limited = self.policy.limits_memory(run.limits)
        with closing(self._api.attach(name)) as stream, step.interruptible(stream.interrupt):
            if not step.may_continue():
                return KILLED_BEFORE_START
            with self._memory_notes.watching_start(run.ref) if limited else nullcontext():
                self._sandboxes.step_starts(run.ref)
                self._api.start(name)
                step.mark_started(lambda grace_s: self._kill(run.ref, grace_s))
                if not run.sidecars:
                    started()
            _drain(FrameReader().read(stream.upgraded()), step, sink)
        return self._wait_for_exit(run.ref, step)

    def _wait_for_exit(self, ref: StepRef, step: RunningStep) -> StepExit:
        if step.kill_failed:
            raise EngineUnavailable(f"the container engine could not kill step {ref}")
        try:
            wait = self._api.wait(self._names.container(ref))
        except ObjectMissing as missing:
            raise StepRemoved(f"another program removed the container of step {ref}") from missing
        with closing(wait) as stream, step.interruptible(stream.interrupt):
            answer = b"".join(stream.chunks())
            if not answer:
                step.may_continue()  # raises Detached
                raise EngineUnavailable(f"the container engine did not report how step {ref} ended")
        return self._sandboxes.step_ended(ref, self._exit(ref, int(json.loads(answer)["StatusCode"])))

    def _exit(self, ref: StepRef, code: int) -> StepExit:
        note = self._memory_notes.note(ref, code)
        out_of_memory = bool(code and note)
        try:
            output = self._files.output(ref)
        except NotRegularFile as error:
            output, note = None, note if code else unusable_output(error)
        return StepExit(code=code, output=output, note=note, out_of_memory=out_of_memory)

    def _kill(self, ref: StepRef, grace_s: float) -> None:
        name = self._names.container(ref)
        if grace_s <= 0:
            self._api.kill(name, "SIGKILL")
        elif self._api.kill(name, "SIGTERM"):
            self._kill_timers.start(ref, grace_s, lambda: self._api.kill(name, "SIGKILL"))

    def _remove_step(self, ref: StepRef) -> None:
        self._container_factory.remove(ref)
        self._memory_notes.forget(ref)
        self._resources.discard_container(ref)

    def _remove_delivery(self, task_id: str, delivery: int) -> None:
        self._removal.remove_delivery(task_id, delivery)
        self._sandboxes.remove(task_id, delivery)


def _drain(output: Iterator[tuple[Stream, bytes]], step: RunningStep, sink: Sink) -> None:
    """Pass all output to `sink`. Raises Detached when the stream ended because the step was detached."""
    for stream, data in output:
        sink(stream, data)
    step.may_continue()


@contextmanager
def _missing_counts_as_failure() -> Iterator[None]:
    """Map ObjectMissing. A next run creates what is missing, or tells the user which network is."""
    try:
        yield
    except ObjectMissing as missing:
        text = f"the container engine could not start the step: {missing}"
        raise EngineFailed(text, call="find the container", limit=PASSING) from missing
