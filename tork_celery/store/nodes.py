"""Nodes: the worker and coordinator processes that are, or lately were, alive."""

import uuid
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, text, update

from tork_celery.domain.node import Node
from tork_celery.store.database import datastore_now
from tork_celery.store.tables import identity, nodes


def claim_name(tx: Connection, name: str) -> Node | None:
    """The node that has the name. Nobody else registers one until this transaction ends."""
    if tx.dialect.name == "postgresql":  # there may be no row to lock; on SQLite, writers take turns
        tx.execute(text("LOCK TABLE nodes IN SHARE ROW EXCLUSIVE MODE"))
    return get(tx, name)


def get(tx: Connection, name: str) -> Node | None:
    row = tx.execute(select(nodes).where(nodes.c.name == name).with_for_update()).one_or_none()
    return None if row is None else _node(row)


def register(tx: Connection, node: Node) -> None:
    """Put the node in the place of any earlier one of its name, which `claim_name` has shown."""
    now = datastore_now()
    tx.execute(delete(nodes).where(nodes.c.name == node.name))
    values: dict[str, Any] = {
        "name": node.name,
        "instance": node.instance,
        "hostname": node.hostname,
        "pid": node.pid,
        "port": node.port,
        "queues": list(node.queues),
        "version": node.version,
        "cpu_percent": 0.0,
    }
    tx.execute(insert(nodes).values(**values, started_at=now, heartbeat_at=now))


def beat(tx: Connection, *, name: str, instance: str, cpu_percent: float) -> bool:
    """The node is alive. False when another process has taken its name."""
    query = update(nodes).where(nodes.c.name == name, nodes.c.instance == instance)
    values = {"heartbeat_at": datastore_now(), "cpu_percent": cpu_percent, "stopped_at": None}
    return tx.execute(query.values(**values)).rowcount == 1


def stop(tx: Connection, *, name: str, instance: str) -> None:
    """The node stops as planned."""
    query = update(nodes).where(nodes.c.name == name, nodes.c.instance == instance)
    tx.execute(query.values(stopped_at=datastore_now()))


def active(tx: Connection, *, within_s: float) -> list[Node]:
    """The nodes that were heard of within that time, those too that have stopped as planned since."""
    recent = nodes.c.heartbeat_at > datastore_now() - within_s
    query = select(nodes).where(recent).order_by(nodes.c.name)
    return [_node(row) for row in tx.execute(query)]


def forget(tx: Connection, *, after_s: float) -> None:
    """Remove what was not heard of for so long."""
    tx.execute(delete(nodes).where(nodes.c.heartbeat_at < datastore_now() - after_s))


def cluster(tx: Connection) -> str:
    """The identity of this installation, made when it is first asked for."""
    found = tx.scalar(select(identity.c.cluster))
    if found is None and tx.dialect.name == "postgresql":  # on SQLite, writers come one after another
        tx.execute(text("LOCK TABLE identity IN SHARE ROW EXCLUSIVE MODE"))
        found = tx.scalar(select(identity.c.cluster))
    if found is None:
        found = uuid.uuid4().hex
        tx.execute(insert(identity).values(cluster=found))
    return str(found)


def _node(row: Row[Any]) -> Node:
    return Node(
        name=row.name,
        instance=row.instance,
        hostname=row.hostname,
        pid=row.pid,
        port=row.port,
        queues=tuple(row.queues),
        version=row.version,
        cpu_percent=row.cpu_percent,
        started_at=row.started_at,
        heartbeat_at=row.heartbeat_at,
        stopped_at=row.stopped_at,
    )
