"""The Docker runtime: the order of the calls that make, run, follow, stop and remove a step's container."""

import json
import os
import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from tork_celery.domain.errors import EngineUnavailable
from tork_celery.domain.model import StepRef
from tork_celery.runtime.docker.cleanup_queue import CleanupQueue
from tork_celery.runtime.docker.container_config import memory_limit
from tork_celery.runtime.docker.container_factory import ContainerFactory
from tork_celery.runtime.docker.engine_api import EngineApi
from tork_celery.runtime.docker.image_gc import ImageGc
from tork_celery.runtime.docker.image_pulls import ImagePulls
from tork_celery.runtime.docker.networks import Networks
from tork_celery.runtime.docker.resource_names import ResourceNames
from tork_celery.runtime.docker.resource_tracker import ResourceTracker
from tork_celery.runtime.docker.sidecars import Sidecars
from tork_celery.runtime.docker.stream_frames import FrameReader
from tork_celery.runtime.exchange import Exchange
from tork_celery.runtime.protocol import Leftovers, Sink, StepExit, StepRun
from tork_celery.runtime.running_steps import NEVER_STARTED, KillTimers, RunningStep, RunningSteps

_KILLED = 137
_REMOVING_THREADS = 4
_CONNECTIONS_PER_STEP = 2  # one brings the output, one is for the calls


class DockerRuntime:
    """Runs each step in a container of its own. `pool_size` is how many steps run at a time; without a
    `url` the engine is that of this machine's usual socket; `bind_sources` are the paths of this machine that
    a task may bind, with all below them; with `pull_always` an image that is there is pulled, too; one that
    was pulled and not used for `image_ttl_s` is removed. Nothing connects before the first call."""

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
        bind_sources: Sequence[Path] = (),
        pull_always: bool = False,
        image_ttl_s: float | None = None,
    ) -> None:
        self._names = ResourceNames(cluster=cluster, node=node, host=socket.gethostname())
        self._exchange = Exchange(work_dir=work_dir, node=node)
        self._api = EngineApi(url, connections=_CONNECTIONS_PER_STEP * pool_size + 2 * _REMOVING_THREADS)
        self._running = RunningSteps()
        self._resources = ResourceTracker()
        self._pulls = ImagePulls(self._api, timeout_s=pull_timeout_s)
        self._kill_timers = KillTimers()
        self._cleanup_queue = CleanupQueue(threads=_REMOVING_THREADS)
        self._image_gc = ImageGc(api=self._api, directory=work_dir.parent / "images", ttl_s=image_ttl_s)
        self._container_factory = ContainerFactory(
            api=self._api,
            names=self._names,
            exchange=self._exchange,
            resources=self._resources,
            pulls=self._pulls,
            image_gc=self._image_gc,
            networks=Networks(api=self._api, names=self._names),
            log_limit_bytes=log_limit_bytes,
            bind_sources=bind_sources,
            private_workdir=os.geteuid() != 0,
            pull_always=pull_always,
        )
        self._sidecars = Sidecars(api=self._api, names=self._names, kill_timers=self._kill_timers)

    def run(self, run: StepRun, sink: Sink, *, started: Callable[[], None]) -> StepExit:
        name = self._names.container(run.ref)
        with self._running.enter(run.ref) as step:
            if not self._container_factory.create(run, step, sink):
                return NEVER_STARTED
            if not self._sidecars.start(run.sidecars, step, started=started):
                return NEVER_STARTED
            with closing(self._api.attach(name)) as stream, step.blocking(stream.interrupt):
                if not step.proceed():
                    return NEVER_STARTED
                self._api.start(name)
                step.began(lambda grace_s: self._end(run.ref, grace_s))
                if not run.sidecars:
                    started()
                _drain(stream.upgraded(), step, sink)
            return self._exit(run.ref, step)

    def follow(self, ref: StepRef, sink: Sink) -> StepExit | None:
        name = self._names.container(ref)
        with self._running.enter(ref) as step:
            container = self._container_factory.started(ref)
            if container is None:
                return None
            step.began(lambda grace_s: self._end(ref, grace_s))
            with closing(self._api.logs(name)) as stream, step.blocking(stream.interrupt):
                _drain(stream.chunks(), step, sink)
            return replace(self._exit(ref, step), unseen=not container["State"]["Running"])

    def kill(self, ref: StepRef, *, grace_s: float = 0.0) -> None:
        if not self._running.kill(ref, grace_s):
            self._end(ref, grace_s)

    def detach(self) -> None:
        self._running.detach()

    def progress(self, ref: StepRef) -> float | None:
        return self._exchange.progress(ref)

    def remove_step(self, ref: StepRef) -> None:
        self._kill_timers.cancel(ref)
        self._running.forget(ref)
        self._cleanup_queue.submit((ref.task_id, ref.delivery), lambda: self._discard(ref))

    def reset_step(self, ref: StepRef) -> None:
        self._kill_timers.cancel(ref)
        self._discard(ref)

    def remove_delivery(self, task_id: str, delivery: int) -> None:
        self._cleanup_queue.submit((task_id, delivery), lambda: self._release(task_id, delivery))

    def leftovers(self) -> Iterable[Leftovers]:
        found = set(self._exchange.leftovers())
        labels = self._names.of_cluster()
        for thing in (
            *self._api.containers(labels),
            *self._api.volumes(labels),
            *self._api.networks(labels),
        ):
            if leftovers := self._names.leftovers(thing["Labels"]):
                found.add(leftovers)
        return sorted(found)

    def collect_garbage(self) -> None:
        self._cleanup_queue.submit(("images", 0), self._image_gc.collect)

    def check(self, *, within_s: float = 5.0) -> None:
        self._api.ping(within_s=within_s)

    def close(self) -> None:
        self._kill_timers.close()
        self._pulls.close()
        self._cleanup_queue.close()
        self._api.close()

    def _exit(self, ref: StepRef, step: RunningStep) -> StepExit:
        with closing(self._api.wait(self._names.container(ref))) as stream, step.blocking(stream.interrupt):
            answer = b"".join(stream.chunks())
            if not answer:
                step.proceed()
                raise EngineUnavailable(f"the container engine did not say how step {ref} ended")
        code = int(json.loads(answer)["StatusCode"])
        note = self._why_killed(ref) if code == _KILLED else None
        return StepExit(code=code, output=self._exchange.output(ref), note=note)

    def _why_killed(self, ref: StepRef) -> str | None:
        """What the engine knows of it. It misses the kernel's word of a lack of memory now and then, when a
        container ends at the same time; who else would kill a container that has a limit is not known."""
        container = self._api.inspect(self._names.container(ref))
        if container is None or not (limit := memory_limit(container)):
            return None
        if container["State"]["OOMKilled"]:
            return f"exceeded its memory limit of {limit}"
        return f"killed, most likely since it exceeded its memory limit of {limit}"

    def _end(self, ref: StepRef, grace_s: float) -> None:
        if grace_s <= 0:
            self._kill(ref)
        elif self._api.kill(self._names.container(ref), "SIGTERM"):
            self._kill_timers.give(ref, grace_s, lambda: self._kill(ref))

    def _kill(self, ref: StepRef) -> None:
        self._api.kill(self._names.container(ref), "SIGKILL")

    def _discard(self, ref: StepRef) -> None:
        self._container_factory.remove(ref)
        self._resources.removed(ref)

    def _release(self, task_id: str, delivery: int) -> None:
        tracked = self._resources.take(task_id, delivery)
        if tracked is None:
            containers, volumes, networks = self._search(task_id, delivery)
        else:
            containers = [self._names.container(ref) for ref in tracked.containers]
            volumes = [self._names.volume(task_id, delivery, index) for index in range(tracked.volumes)]
            networks = [self._names.network(task_id, delivery)] if tracked.network else []
        for container in containers:
            self._api.remove_container(container)
        for volume in volumes:
            self._api.remove_volume(volume)
        self._exchange.remove_delivery(task_id, delivery)
        for network in networks:  # last: it stays as long as somebody else is in it
            self._api.remove_network(network)

    def _search(self, task_id: str, delivery: int) -> tuple[list[str], list[str], list[str]]:
        """The containers, volumes and networks of a delivery that the engine knows, whoever made them."""
        labels = self._names.of_delivery(task_id, delivery)
        return (
            [container["Id"] for container in self._api.containers(labels)],
            [volume["Name"] for volume in self._api.volumes(labels)],
            [network["Id"] for network in self._api.networks(labels)],
        )


def _drain(chunks: Iterator[bytes], step: RunningStep, sink: Sink) -> None:
    """Hand all that comes to `sink`. Raises Detached for one that ends early."""
    frames = FrameReader()
    for chunk in chunks:
        for stream, data in frames.feed(chunk):
            sink(stream, data)
    step.proceed()
