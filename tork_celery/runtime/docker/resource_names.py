"""The names and labels of what the runtime makes in the engine. Whoever finds a thing there can tell from
them whose it is."""

from collections.abc import Mapping
from dataclasses import dataclass

from tork_celery.domain.model import StepRef
from tork_celery.runtime.protocol import Leftovers, StepRun

CLUSTER = "tork.cluster"
NODE = "tork.node"
HOST = "tork.host"
TASK = "tork.task"
DELIVERY = "tork.delivery"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceNames:
    """Those that one node gives. `cluster` tells its installation from others that use the same engine."""

    cluster: str
    node: str
    host: str

    @staticmethod
    def container(ref: StepRef) -> str:
        return f"tork-{ref}"

    @staticmethod
    def volume(task_id: str, delivery: int, index: int) -> str:
        return f"tork-{task_id}-{delivery}-{index}"

    @staticmethod
    def network(task_id: str, delivery: int) -> str:
        return f"tork-{task_id}-{delivery}"

    def step_labels(self, run: StepRun) -> dict[str, str]:
        return {**self.delivery_labels(run), "tork.step": str(run.ref.step)}

    def delivery_labels(self, run: StepRun) -> dict[str, str]:
        return {
            CLUSTER: self.cluster,
            NODE: self.node,
            HOST: self.host,
            "tork.job": run.job_id,
            TASK: run.ref.task_id,
            DELIVERY: str(run.ref.delivery),
        }

    def of_delivery(self, task_id: str, delivery: int) -> list[str]:
        """The labels by which all of one delivery is found, whichever node made it."""
        return [*self.of_cluster(), f"{TASK}={task_id}", f"{DELIVERY}={delivery}"]

    def of_cluster(self) -> list[str]:
        """The labels by which all that nodes of this installation made in the engine is found."""
        return [f"{CLUSTER}={self.cluster}"]

    def leftovers(self, labels: Mapping[str, str]) -> Leftovers | None:
        """What a thing of this installation tells; None for one of another host, whose nodes are not ours
        to judge. This node may have had another host's name before."""
        if labels[NODE] != self.node and labels[HOST] != self.host:
            return None
        return Leftovers(labels[NODE], labels[TASK], int(labels[DELIVERY]))
