"""Docker runtimes for tests, and the engine's view of their containers."""

from pathlib import Path
from typing import Any

import docker

from tests.eventually import eventually
from tork_celery.domain.model import StepRef
from tork_celery.runtime.docker import DockerRuntime
from tork_celery.runtime.docker.policy import ContainerPolicy

BUSYBOX = "busybox:stable"
NODE = "default@here"


class RuntimeFactory:
    """Creates the runtimes of a node: that of its process, and those of the processes after it."""

    def __init__(self, *, cluster: str, work_dir: Path) -> None:
        self._cluster = cluster
        self._work_dir = work_dir
        self._runtimes: list[DockerRuntime] = []

    def __call__(
        self,
        *,
        node: str = NODE,
        url: str | None = None,
        pull_timeout_s: float = 30,
        policy: ContainerPolicy | None = None,
        pull_always: bool = False,
        image_ttl_s: float | None = None,
        sandbox: bool = False,
        files_in_container: bool | None = None,
        slots: int = 4,
    ) -> DockerRuntime:
        runtime = DockerRuntime(
            cluster=self._cluster,
            node=node,
            work_dir=self._work_dir,
            url=url,
            log_limit_bytes=50_000_000,
            pull_timeout_s=pull_timeout_s,
            pool_size=slots,
            policy=policy,
            pull_always=pull_always,
            image_ttl_s=image_ttl_s,
            sandbox=sandbox,
            files_in_container=files_in_container,
        )
        self._runtimes.append(runtime)
        return runtime

    def with_sandboxes(
        self, *, files_in_container: bool | None = None, policy: ContainerPolicy | None = None
    ) -> DockerRuntime:
        """Create a runtime for one step at a time, whose two sandboxes are ready."""
        runtime = self(sandbox=True, slots=1, files_in_container=files_in_container, policy=policy)
        runtime._sandboxes.pool.start()
        eventually(lambda: len(runtime._sandboxes.pool._idle) == 2)
        return runtime

    def close(self) -> None:
        """Remove all leftovers, as a worker's sweep does, and close all runtimes."""
        sweeper = self()
        for leftovers in sweeper.leftovers():
            sweeper.remove_delivery(leftovers.task_id, leftovers.delivery)
        for runtime in self._runtimes:
            runtime.close()
        last = self()
        last.collect_garbage(alive=set)
        last.close()
        assert list(self._work_dir.glob("*/*")) == []


def container_name(ref: StepRef) -> str:
    return f"tork-{ref}"


def inspect(client: docker.APIClient, ref: StepRef) -> dict[str, Any]:
    container: dict[str, Any] = client.inspect_container(container_name(ref))
    return container


def exists(client: docker.APIClient, ref: StepRef) -> bool:
    return bool(client.containers(all=True, filters={"name": container_name(ref)}))
