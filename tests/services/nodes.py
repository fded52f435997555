"""Nodes in the datastore, for tests of services."""

from tork_celery.domain.node import Node
from tork_celery.store import Database, nodes


def register_node(database: Database, name: str, *queues: str) -> None:
    """Store a live node that serves the queues."""
    node = Node(name=name, instance=name, hostname="here", pid=1, queues=queues, version="0")
    with database.transaction() as tx:
        nodes.register(tx, node)
