"""Names and labels of everything that the runtime creates in the engine. Labels identify the owner."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from tork_celery.domain.model import StepRef
from tork_celery.runtime.protocol import Leftovers, StepRun

CLUSTER = "tork.cluster"
NODE = "tork.node"
HOST = "tork.host"
JOB = "tork.job"
TASK = "tork.task"
DELIVERY = "tork.delivery"
STEP = "tork.step"
SANDBOX = "tork.sandbox"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceNames:
    """The names and labels that one node uses. Installations that share an engine differ in `cluster`."""

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
        """Return the labels of a container, or of a volume, with the step that created it."""
        return {**self.delivery_labels(run), STEP: str(run.ref.step)}

    def delivery_labels(self, run: StepRun) -> dict[str, str]:
        """Return the labels of a network, which the steps of a delivery share."""
        return {
            CLUSTER: self.cluster,
            NODE: self.node,
            HOST: self.host,
            JOB: run.job_id,
            TASK: run.ref.task_id,
            DELIVERY: str(run.ref.delivery),
        }

    def sandbox_labels(self, name: str) -> dict[str, str]:
        return {CLUSTER: self.cluster, NODE: self.node, HOST: self.host, SANDBOX: name}

    def is_own(self, labels: Mapping[str, str], *, alive: Callable[[], Collection[str]]) -> bool:
        """Return whether an object with these labels is this node's, or a dead node's of this host.

        `alive` returns the other nodes that are alive.
        """
        return labels[NODE] == self.node or (labels[HOST] == self.host and labels[NODE] not in alive())

    def delivery_filter(self, task_id: str, delivery: int) -> list[str]:
        """Return the label filter for everything of one delivery, whichever node created it."""
        return [*self.cluster_filter(), f"{TASK}={task_id}", f"{DELIVERY}={delivery}"]

    def node_filter(self) -> list[str]:
        """Return the label filter for everything that this node created."""
        return [*self.cluster_filter(), f"{NODE}={self.node}"]

    @staticmethod
    def step(labels: Mapping[str, str]) -> StepRef:
        """Return the step of a container with these labels."""
        return StepRef(task_id=labels[TASK], delivery=int(labels[DELIVERY]), step=int(labels[STEP]))

    def cluster_filter(self) -> list[str]:
        """Return the label filter for everything that the nodes of this installation created."""
        return [f"{CLUSTER}={self.cluster}"]

    def leftovers(self, labels: Mapping[str, str]) -> Leftovers | None:
        """Return the delivery to which an object with these labels belongs. None for another host's.

        An object of this node counts as this host's, even when the host had another name before. None also
        for a sandbox, which belongs to no delivery.
        """
        if TASK not in labels or (labels[NODE] != self.node and labels[HOST] != self.host):
            return None
        return Leftovers(labels[NODE], labels[TASK], int(labels[DELIVERY]))
