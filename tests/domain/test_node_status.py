"""Status of a node by its last heartbeat."""

import pytest

from tork_celery.domain.node import Node, NodeStatus


def make_node(stopped_at: float | None = None) -> Node:
    return Node(
        name="default@here",
        instance="1",
        hostname="here",
        pid=1,
        queues=("default",),
        version="0",
        heartbeat_at=100.0,
        stopped_at=stopped_at,
    )


@pytest.mark.parametrize(
    ("now", "stopped_at", "status"),
    [
        (100.0, None, NodeStatus.UP),
        (110.0, None, NodeStatus.UP),
        (110.1, None, NodeStatus.DOWN),
        (101.0, 100.5, NodeStatus.OFFLINE),
        (200.0, 100.5, NodeStatus.OFFLINE),
    ],
)
def test_status_of_a_node(now: float, stopped_at: float | None, status: NodeStatus) -> None:
    assert make_node(stopped_at).status(now=now, lease_s=10.0) is status
