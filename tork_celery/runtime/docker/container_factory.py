"""Creation of the containers of a step, with their exchange directories, images and networks."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tork_celery.domain.backoff import PASSING
from tork_celery.domain.errors import EngineFailed, StepFailed
from tork_celery.domain.model import StepRef
from tork_celery.runtime.docker.container_config import container_config
from tork_celery.runtime.docker.engine_api import EngineApi, ImageMissing, NameTaken
from tork_celery.runtime.docker.error_mapping import name_sidecar_in_errors
from tork_celery.runtime.docker.image_gc import ImageGc
from tork_celery.runtime.docker.image_pulls import ImagePulls
from tork_celery.runtime.docker.networks import Networks, endpoints
from tork_celery.runtime.docker.policy import ContainerPolicy
from tork_celery.runtime.docker.resource_names import STEP, ResourceNames
from tork_celery.runtime.docker.resource_tracker import ResourceTracker
from tork_celery.runtime.docker.sandboxes import Sandboxes
from tork_celery.runtime.docker.step_files import StepFiles
from tork_celery.runtime.protocol import AlreadyStarted, SidecarRun, Sink, StepRun, VolumesRemoved
from tork_celery.runtime.running_steps import RunningStep

_NOT_STARTED_STATES = {"created", "removing", "dead"}


@dataclass(slots=True, kw_only=True)
class ContainerFactory:
    """Creates the containers of one node."""

    api: EngineApi
    names: ResourceNames
    files: StepFiles
    resources: ResourceTracker
    pulls: ImagePulls
    image_gc: ImageGc
    networks: Networks
    sandboxes: Sandboxes
    log_limit_bytes: int
    policy: ContainerPolicy
    pull_always: bool

    def create(self, run: StepRun, step: RunningStep, sink: Sink) -> bool:
        """Create the containers of a step and its sidecars. Return False when the step was killed meanwhile.

        Containers that an earlier process created for the step, but never started, are replaced. Raises
        AlreadyStarted, StepFailed, EngineUnavailable, EngineFailed, VolumesRemoved, Detached.
        """
        if any(self.files.exists(each.ref) for each in (run, *run.sidecars)):
            self._remove_unstarted(run)
        try:
            return self._create_all(run, step, sink)
        except NameTaken:
            self._remove_unstarted(run)
        try:
            return self._create_all(run, step, sink)
        except NameTaken as error:
            text = f"the container of step {run.ref} is still being removed"
            raise EngineFailed(text, call="create the container", limit=PASSING) from error

    def replace(self, run: StepRun, step: RunningStep, sink: Sink) -> bool:
        """Create the container of a step again, which another program removed. Its sidecars are kept.

        Return False when the step was killed meanwhile. Raises as `create` does.
        """
        self.resources.mark_incomplete(run.ref)
        self.remove(run.ref)
        self.networks.prepare(run)
        if not self._create(run, step, sink):
            return False
        self._check_volumes(run)
        return True

    def find_started(self, ref: StepRef) -> dict[str, Any] | None:
        """Return the step's container, as the engine describes it, if it exists and was started."""
        container = self.api.inspect(self.names.container(ref))
        if container is not None and container["State"]["Status"] not in _NOT_STARTED_STATES:
            return container
        return None

    def remove(self, ref: StepRef) -> None:
        """Remove the container and the exchange directory of a step."""
        self.api.remove_container(self.names.container(ref))
        self.files.remove(ref)

    def _remove_unstarted(self, run: StepRun) -> None:
        """Remove what an earlier process created for the step, of which it started at most the sidecars."""
        if self.find_started(run.ref):
            raise AlreadyStarted(f"step {run.ref} was started before")
        for each in (run, *run.sidecars):
            self.remove(each.ref)

    def _create_all(self, run: StepRun, step: RunningStep, sink: Sink) -> bool:
        if not step.may_continue():  # before the network, which may be unavailable for long
            return False
        self.policy.check_networks(run.networks)
        self.resources.add(run)
        self.networks.prepare(run)
        if not self._create(run, step, sink):
            return False
        self._check_volumes(run)
        return all(self._create_sidecar(sidecar, step, sink) for sidecar in run.sidecars)

    def _check_volumes(self, run: StepRun) -> None:
        """Raise VolumesRemoved unless the step's container has the volumes that the first step had.

        The engine creates a missing volume with the container, so the volume shows that by its label. From
        then on no program can remove it.
        """
        if run.ref.step == 0:
            return
        for index, mount in enumerate(run.mounts):
            if mount.type == "volume":
                volume = self.api.volume(self.names.volume(run.ref.task_id, run.ref.delivery, index))
                if volume is None or (volume["Labels"] or {}).get(STEP) == str(run.ref.step):
                    raise VolumesRemoved(f"another program removed the volume at {mount.target}")

    def _create_sidecar(self, sidecar: SidecarRun, step: RunningStep, sink: Sink) -> bool:
        with name_sidecar_in_errors(sidecar.definition.name):
            return self._create(sidecar, step, sink)

    def _create(self, run: StepRun, step: RunningStep, sink: Sink) -> bool:
        """Create one container, with its exchange directory and files, and connect it to its networks."""
        name = self.names.container(run.ref)
        self.resources.add(run)
        sandbox = self.sandboxes.join(run)
        mounts = self.files.prepare(run)
        if sandbox is not None:
            mounts += self.files.prepare_network(run, sandbox.files)
        config = container_config(
            run,
            names=self.names,
            mounts=mounts,
            log_limit_bytes=self.log_limit_bytes,
            policy=self.policy,
            network_mode=None if sandbox is None else sandbox.network_mode,
        )
        if not self._create_container(run, config, step, sink):
            return False
        for network, aliases in list(endpoints(run).items())[1:]:
            self.api.connect(network, name, aliases)
        self.files.fill(run)
        return True

    def _create_container(
        self, run: StepRun, config: Mapping[str, Any], step: RunningStep, sink: Sink
    ) -> bool:
        """Create the container, and pull its image when the engine does not have it."""
        name = self.names.container(run.ref)
        image = run.definition.image
        if not image:
            raise StepFailed("a task of the Docker runtime needs an image")
        if not step.may_continue():
            return False
        if not self.pull_always and self._try_create(name, config):
            self.image_gc.record_use(image)
            return True
        self.pulls.pull(run, step, sink)
        if not step.may_continue():
            return False
        if not self._try_create(name, config):  # another program may have removed it
            text = f'image "{image}" is missing although it was pulled'
            raise EngineFailed(text, call="find the image", limit=PASSING)
        self.image_gc.record_pull(image)
        return True

    def _try_create(self, name: str, config: Mapping[str, Any]) -> bool:
        """Create the container and return True. Return False when its image is missing."""
        try:
            self.api.create(name, config)
        except ImageMissing:
            return False
        return True
