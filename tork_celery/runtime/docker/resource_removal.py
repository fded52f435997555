"""Removal of what deliveries leave in the engine and in the exchange directories."""

from collections.abc import Iterable
from dataclasses import dataclass

from tork_celery.runtime.docker.engine_api import EngineApi
from tork_celery.runtime.docker.resource_names import ResourceNames
from tork_celery.runtime.docker.resource_tracker import ResourceTracker
from tork_celery.runtime.exchange import Exchange
from tork_celery.runtime.protocol import Leftovers


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceRemoval:
    """Finds and removes the resources of deliveries. Raises as `EngineApi` does."""

    api: EngineApi
    names: ResourceNames
    exchange: Exchange
    resources: ResourceTracker

    def leftovers(self) -> Iterable[Leftovers]:
        """Return the deliveries of which anything is left on this host."""
        leftovers = set(self.exchange.leftovers())
        labels = self.names.cluster_filter()
        for resource in (
            *self.api.containers(labels),
            *self.api.volumes(labels),
            *self.api.networks(labels),
        ):
            if found := self.names.leftovers(resource["Labels"]):
                leftovers.add(found)
        return sorted(leftovers)

    def remove_delivery(self, task_id: str, delivery: int) -> None:
        """Remove the containers, volumes, networks and files of a delivery."""
        tracked = self.resources.pop(task_id, delivery)
        if tracked is None:
            containers, volumes, networks = self._find(task_id, delivery)
        else:
            containers = [self.names.container(ref) for ref in tracked.containers]
            volumes = [self.names.volume(task_id, delivery, index) for index in range(tracked.volumes)]
            networks = [self.names.network(task_id, delivery)] if tracked.network else []
        for container in containers:
            self.api.remove_container(container)
        for volume in volumes:
            self.api.remove_volume(volume)
        self.exchange.remove_delivery(task_id, delivery)
        for network in networks:  # last: a network with other containers in it is not removed
            self.api.remove_network(network)

    def _find(self, task_id: str, delivery: int) -> tuple[list[str], list[str], list[str]]:
        """Return the containers, volumes and networks with the labels of a delivery."""
        labels = self.names.delivery_filter(task_id, delivery)
        return (
            [container["Id"] for container in self.api.containers(labels)],
            [volume["Name"] for volume in self.api.volumes(labels)],
            [network["Id"] for network in self.api.networks(labels)],
        )
