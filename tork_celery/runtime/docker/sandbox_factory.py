"""Creation of sandboxes: containers that do nothing, and whose network namespaces steps join."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tork_celery.domain.errors import EngineFailed, StepFailed
from tork_celery.domain.model import StepRef
from tork_celery.runtime.docker.container_files import ContainerFiles
from tork_celery.runtime.docker.engine_api import EngineApi, ImageMissing, ObjectMissing
from tork_celery.runtime.docker.engine_images import EngineImages
from tork_celery.runtime.docker.leftover_sockets import has_sockets
from tork_celery.runtime.docker.network_files import NetworkFiles
from tork_celery.runtime.docker.resource_names import SANDBOX, ResourceNames
from tork_celery.runtime.docker.sandbox_image import MACHINES, PROGRAM, image_archive, image_name
from tork_celery.runtime.exchange import Exchange

JOINED = "container:"
"""What the network mode of a container that joins a sandbox begins with."""
_NOBODY = "65534:65534"
_PODMAN = "Podman Engine"


class SandboxesRefused(Exception):
    """Sandboxes cannot be used with this engine. The text is the reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sandbox:
    """A container whose network namespace steps join. `files` are its network files.

    `pid` is its process, by the engine's numbers; 0 if it has ended. `visible` says that this is also its
    number here: the engine may run on another machine, or this process in a container.
    """

    id: str
    name: str
    pid: int
    visible: bool
    files: NetworkFiles

    @property
    def network_mode(self) -> str:
        """The setting of the containers that join it."""
        return f"{JOINED}{self.id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxFactory:
    """Creates the sandboxes of one node. Raises as `EngineApi` does."""

    api: EngineApi
    images: EngineImages
    names: ResourceNames
    exchange: Exchange
    proc: Path = Path("/proc")
    _files: ContainerFiles = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_files", ContainerFiles(self.api))

    def check(self, sandbox: Sandbox) -> None:
        """Try to join a sandbox, with files of this host. Raises SandboxesRefused."""
        name = f"{sandbox.name}-trial"
        config = self._config(sandbox.name, image_name(self._machine()))
        del config["HostConfig"]["Sysctls"]  # those of the sandbox count
        config["HostConfig"] |= {
            "NetworkMode": sandbox.network_mode,
            "Mounts": sandbox.files.mounts(self.exchange.create_trial(sandbox.files.by_name), taken=()),
        }
        try:
            self.api.create(name, config)
            self.api.start(name)
        except StepFailed as error:
            raise SandboxesRefused(str(error)) from error
        except (ImageMissing, ObjectMissing) as error:
            raise _gone(error) from error
        finally:
            self.api.remove_container(name)
            self.exchange.remove_trial()

    def create(self, name: str) -> Sandbox:
        """Create and start a sandbox, and its image if that is missing. Raises SandboxesRefused."""
        try:
            container = self._create_with_image(name)
            self.api.start(name)
        except StepFailed as error:
            raise SandboxesRefused(str(error)) from error
        except ObjectMissing as error:
            raise _gone(error) from error
        return self.find(container)

    def find(self, container_id: str) -> Sandbox:
        """Describe a sandbox, which may have ended or not exist any more."""
        container = self.api.inspect(container_id)
        if container is None or not container["State"]["Running"]:
            return Sandbox(id=container_id, name=container_id, pid=0, visible=False, files=NetworkFiles({}))
        name = container["Config"]["Labels"].get(SANDBOX, container_id)
        pid = container["State"]["Pid"]
        files = NetworkFiles.of(container_id, self._files)  # meanwhile a new process begins its program
        return Sandbox(id=container_id, name=name, pid=pid, visible=self._runs_here(pid, name), files=files)

    def is_running(self, sandbox: Sandbox) -> bool:
        if sandbox.visible:
            return self._runs_here(sandbox.pid, sandbox.name)
        if not sandbox.pid:
            return False
        container = self.api.inspect(sandbox.id)
        return container is not None and container["State"]["Pid"] == sandbox.pid

    def has_sockets(self, sandbox: Sandbox) -> bool | None:
        """Return whether any socket is left in a sandbox that runs. None where this process cannot look."""
        if not sandbox.visible:
            return None
        try:
            return has_sockets(sandbox.pid, proc=self.proc)
        except OSError:
            return None

    def ended_before(self, sandbox: Sandbox, ref: StepRef) -> bool:
        """Return whether a sandbox that does not run any more ended before a step. True if it is gone."""
        ended = self.api.inspect(sandbox.id)
        step = self.api.inspect(self.names.container(ref))
        if ended is None or ended["State"]["Running"] or step is None:  # started again: without a network
            return True
        return _sortable(ended["State"]["FinishedAt"]) <= _sortable(step["State"]["FinishedAt"])

    def unjoined(self) -> Iterator[tuple[str, Mapping[str, str]]]:
        """Yield the ids and labels of all sandboxes and trials, but for those that a step has joined."""
        containers = self.api.containers(self.names.cluster_filter())
        steps = [container for container in containers if SANDBOX not in container["Labels"]]
        joined = {step["HostConfig"].get("NetworkMode") for step in steps}
        for container in containers:
            labels = container["Labels"]
            if SANDBOX in labels and f"{JOINED}{container['Id']}" not in joined:
                yield container["Id"], labels

    def remove(self, name: str) -> None:
        self.api.remove_container(name)

    def _create_with_image(self, name: str) -> str:
        machine = self._machine()
        image = image_name(machine)
        config = self._config(name, image)
        try:
            return self.api.create(name, config)
        except ImageMissing:
            self._import_image(image, machine)
        try:
            return self.api.create(name, config)
        except ImageMissing as error:
            raise SandboxesRefused("the engine does not keep the image of sandboxes") from error

    def _machine(self) -> str:
        """Return the engine's machine type. Raises SandboxesRefused when sandboxes do not suit it."""
        version = self.api.version()
        if any(component.get("Name") == _PODMAN for component in version.get("Components") or ()):
            raise SandboxesRefused("sandboxes are not tested with Podman")
        machine: str = version["Arch"]
        if machine not in MACHINES:
            raise SandboxesRefused(f"there is no program for the machine type {machine}")
        return machine

    def _import_image(self, image: str, machine: str) -> None:
        try:
            self.images.import_archive(image_archive(machine), image)
        except EngineFailed as error:
            raise SandboxesRefused(str(error)) from error

    def _config(self, name: str, image: str) -> dict[str, Any]:
        return {
            "Image": image,
            "Entrypoint": [PROGRAM],
            "Cmd": [name],  # by which the process is recognized
            "User": _NOBODY,
            "Labels": self.names.sandbox_labels(name),
            "HostConfig": {
                "NetworkMode": "default",
                "ReadonlyRootfs": True,
                "CapDrop": ["ALL"],
                "SecurityOpt": ["no-new-privileges"],
                "LogConfig": {"Type": "none"},
                # Closed connections would stay for a minute, and cost the sandbox. Those of a network of its
                # own end with the container of their step.
                "Sysctls": {"net.ipv4.tcp_max_tw_buckets": "0"},
            },
        }

    def _runs_here(self, pid: int, name: str) -> bool:
        """Return whether the process of a sandbox has this number here."""
        try:
            command = (self.proc / str(pid) / "cmdline").read_bytes()
        except OSError:
            return False
        return command.split(b"\0")[:2] == [PROGRAM.encode(), name.encode()]


def _gone(error: Exception) -> EngineFailed:
    return EngineFailed(f"another program removed a new sandbox: {error}", call="start the sandbox")


def _sortable(time: str) -> tuple[str, str]:
    """Return a time of the engine in a form that sorts: it writes up to nine digits after the second."""
    seconds, _, fraction = time.rstrip("Z").partition(".")
    return seconds, fraction.ljust(9, "0")
