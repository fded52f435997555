"""Nodes: worker and coordinator processes."""

from dataclasses import dataclass
from enum import StrEnum


class NodeStatus(StrEnum):
    """Status of a node, as its last heartbeat shows it."""

    UP = "UP"
    DOWN = "DOWN"  # no heartbeat for longer than a lease
    OFFLINE = "OFFLINE"  # shut down


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A worker or coordinator process.

    `instance` differs from that of an earlier process with the same name. `slots` is the number of steps that
    it runs at a time. Times are seconds since the epoch.
    """

    name: str
    instance: str
    hostname: str
    pid: int
    queues: tuple[str, ...]
    version: str
    slots: int = 0
    port: int = 0
    cpu_percent: float = 0.0
    started_at: float = 0.0
    heartbeat_at: float = 0.0
    stopped_at: float | None = None

    def is_live(self, now: float, lease_s: float) -> bool:
        return self.status(now=now, lease_s=lease_s) is NodeStatus.UP

    def status(self, *, now: float, lease_s: float) -> NodeStatus:
        if self.stopped_at is not None:
            return NodeStatus.OFFLINE
        return NodeStatus.UP if now - self.heartbeat_at <= lease_s else NodeStatus.DOWN
