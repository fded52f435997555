"""A node: one worker or coordinator process."""

from dataclasses import dataclass
from enum import StrEnum


class NodeStatus(StrEnum):
    """Whether a node is there, as far as others can tell."""

    UP = "UP"
    DOWN = "DOWN"  # not heard of for more than a lease
    OFFLINE = "OFFLINE"  # stopped as planned


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """`instance` tells a process from an earlier one of the same name. Times are seconds since the epoch."""

    name: str
    instance: str
    hostname: str
    pid: int
    queues: tuple[str, ...]
    version: str
    port: int = 0
    cpu_percent: float = 0.0
    started_at: float = 0.0
    heartbeat_at: float = 0.0
    stopped_at: float | None = None

    def status(self, *, now: float, lease_s: float) -> NodeStatus:
        if self.stopped_at is not None:
            return NodeStatus.OFFLINE
        return NodeStatus.UP if now - self.heartbeat_at <= lease_s else NodeStatus.DOWN
