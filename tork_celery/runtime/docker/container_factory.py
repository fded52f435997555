"""Making the containers of a step, in place of what an earlier process left of one that it never started."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tork_celery.domain.errors import EngineUnavailable, StepFailed
from tork_celery.domain.model import StepRef
from tork_celery.runtime.docker.container_config import EXCHANGE, archive, configuration
from tork_celery.runtime.docker.engine_api import EngineApi, ImageMissing, NameTaken
from tork_celery.runtime.docker.error_mapping import of_sidecar
from tork_celery.runtime.docker.image_gc import ImageGc
from tork_celery.runtime.docker.image_pulls import ImagePulls
from tork_celery.runtime.docker.networks import Networks, endpoints
from tork_celery.runtime.docker.resource_names import ResourceNames
from tork_celery.runtime.docker.resource_tracker import ResourceTracker
from tork_celery.runtime.exchange import WORKDIR, Exchange
from tork_celery.runtime.protocol import AlreadyRun, SidecarRun, Sink, StepRun
from tork_celery.runtime.running_steps import RunningStep

_NOT_TO_FOLLOW = {"created", "removing", "dead"}


@dataclass(slots=True, kw_only=True)
class ContainerFactory:
    """How one node makes containers. With `private_workdir` a work directory belongs to its container: what
    a container's root makes in a directory of ours, only root can remove."""

    api: EngineApi
    names: ResourceNames
    exchange: Exchange
    resources: ResourceTracker
    pulls: ImagePulls
    image_gc: ImageGc
    networks: Networks
    log_limit_bytes: int
    bind_sources: Sequence[Path]
    private_workdir: bool
    pull_always: bool

    def create(self, run: StepRun, step: RunningStep, sink: Sink) -> bool:
        """Make the step's container and those of its sidecars. False when the step was stopped meanwhile.
        Raises AlreadyRun for a step that was started."""
        if any(self.exchange.exists(each.ref) for each in (run, *run.sidecars)):
            self._make_way(run)
        try:
            return self._place_all(run, step, sink)
        except NameTaken:
            self._make_way(run)
        try:
            return self._place_all(run, step, sink)
        except NameTaken as error:
            raise EngineUnavailable(f"the container of step {run.ref} is still being removed") from error

    def started(self, ref: StepRef) -> dict[str, Any] | None:
        """The step's container, if it was started and is there; if not, nothing is left of the step."""
        container = self.api.inspect(self.names.container(ref))
        if container is not None and container["State"]["Status"] not in _NOT_TO_FOLLOW:
            return container
        self.remove(ref)
        return None

    def remove(self, ref: StepRef) -> None:
        self.api.remove_container(self.names.container(ref))
        self.exchange.remove(ref)

    def _make_way(self, run: StepRun) -> None:
        """Remove what a process left that never started the step, or only its sidecars."""
        if self.started(run.ref):
            raise AlreadyRun(f"step {run.ref} was started before")
        for sidecar in run.sidecars:
            self.remove(sidecar.ref)

    def _place_all(self, run: StepRun, step: RunningStep, sink: Sink) -> bool:
        if not step.proceed():  # also while there is no address left for its network
            return False
        self.resources.created(run)
        self.networks.prepare(run)
        return self._place(run, step, sink) and all(
            self._place_sidecar(sidecar, step, sink) for sidecar in run.sidecars
        )

    def _place_sidecar(self, sidecar: SidecarRun, step: RunningStep, sink: Sink) -> bool:
        with of_sidecar(sidecar.definition.name):
            return self._place(sidecar, step, sink)

    def _place(self, run: StepRun, step: RunningStep, sink: Sink) -> bool:
        name = self.names.container(run.ref)
        self.resources.created(run)
        in_archive = self.private_workdir or run.workdir is not None
        exchange = self.exchange.create(run, files={} if in_archive else run.definition.files)
        body = configuration(
            run,
            names=self.names,
            exchange=exchange,
            log_limit_bytes=self.log_limit_bytes,
            private_workdir=self.private_workdir,
            bind_sources=self.bind_sources,
        )
        if not self._make(name, run, body, step, sink):
            return False
        for network, aliases in list(endpoints(run).items())[1:]:
            self.api.connect(network, name, aliases)
        if in_archive:
            self._put_files(name, run)
        return True

    def _make(self, name: str, run: StepRun, body: dict[str, object], step: RunningStep, sink: Sink) -> bool:
        """Create the container, pulling its image when the engine says that it is missing."""
        image = run.definition.image
        if not image:
            raise StepFailed("a task needs an image to run in a container")
        if not step.proceed():
            return False
        if not self.pull_always and self._created(name, body):
            self.image_gc.used(image)
            return True
        self.pulls.pull(image, run.definition.registry, step, sink)
        if not step.proceed():
            return False
        if not self._created(name, body):
            raise StepFailed(f'image "{image}" is not there, though it was pulled')
        self.image_gc.pulled(image)
        return True

    def _created(self, name: str, body: dict[str, object]) -> bool:
        """False when its image is missing."""
        try:
            self.api.create(name, body)
        except ImageMissing:
            return False
        return True

    def _put_files(self, name: str, run: StepRun) -> None:
        """Put the files where the engine alone can: into a directory of the container."""
        if self.private_workdir:
            mine = {} if run.workdir else run.definition.files
            self.api.put(name, EXCHANGE, archive(mine, directory=WORKDIR))
        if run.workdir and run.definition.files:
            self.api.put(name, run.workdir, archive(run.definition.files))
