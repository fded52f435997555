"""Queries of nodes: worker and coordinator processes with a recent heartbeat."""

import uuid
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, text, update

from tork_celery.domain.node import Node
from tork_celery.store.database import datastore_now
from tork_celery.store.tables import identity, nodes


def claim_name(tx: Connection, name: str) -> Node | None:
    """Return the node that has the name, and block other registrations until this transaction ends."""
    if tx.dialect.name == "postgresql":  # locks the table, as there may be no row; SQLite has one writer
        tx.execute(text("LOCK TABLE nodes IN SHARE ROW EXCLUSIVE MODE"))
    return get(tx, name)


def get(tx: Connection, name: str) -> Node | None:
    row = tx.execute(select(nodes).where(nodes.c.name == name).with_for_update()).one_or_none()
    return None if row is None else _node(row)


def register(tx: Connection, node: Node) -> None:
    """Store a node, replacing an earlier node of its name. Call `claim_name` first."""
    now = datastore_now()
    tx.execute(delete(nodes).where(nodes.c.name == node.name))
    values: dict[str, Any] = {
        "name": node.name,
        "instance": node.instance,
        "hostname": node.hostname,
        "pid": node.pid,
        "port": node.port,
        "queues": list(node.queues),
        "slots": node.slots,
        "version": node.version,
        "cpu_percent": 0.0,
    }
    tx.execute(insert(nodes).values(**values, started_at=now, heartbeat_at=now))


def record_heartbeat(
    tx: Connection, *, name: str, instance: str, queues: Sequence[str], cpu_percent: float
) -> bool:
    """Store the time of a heartbeat, and the queues from which the node takes tasks now.

    Returns False if another process has taken the node's name.
    """
    query = update(nodes).where(nodes.c.name == name, nodes.c.instance == instance)
    values = {
        "heartbeat_at": datastore_now(),
        "queues": list(queues),
        "cpu_percent": cpu_percent,
        "stopped_at": None,
    }
    return tx.execute(query.values(**values)).rowcount == 1


def record_stop(tx: Connection, *, name: str, instance: str) -> None:
    """Store the time of a planned stop. Does nothing if another process has taken the node's name."""
    query = update(nodes).where(nodes.c.name == name, nodes.c.instance == instance)
    tx.execute(query.values(stopped_at=datastore_now()))


def active(tx: Connection, *, within_s: float) -> list[Node]:
    """Return the nodes with a heartbeat in the last `within_s` seconds, by name.

    This includes nodes that have stopped as planned since then (`stopped_at` is set).
    """
    recent = nodes.c.heartbeat_at > datastore_now() - within_s
    query = select(nodes).where(recent).order_by(nodes.c.name)
    return [_node(row) for row in tx.execute(query)]


def remove_stale(tx: Connection, *, after_s: float) -> None:
    """Delete the nodes without a heartbeat in the last `after_s` seconds."""
    tx.execute(delete(nodes).where(nodes.c.heartbeat_at < datastore_now() - after_s))


def cluster_id(tx: Connection) -> str:
    """Return the id of this installation. The first call creates it."""
    cluster = tx.scalar(select(identity.c.cluster))
    if cluster is None and tx.dialect.name == "postgresql":  # SQLite has one writer at a time
        tx.execute(text("LOCK TABLE identity IN SHARE ROW EXCLUSIVE MODE"))
        cluster = tx.scalar(select(identity.c.cluster))
    if cluster is None:
        cluster = uuid.uuid4().hex
        tx.execute(insert(identity).values(cluster=cluster))
    return str(cluster)


def _node(row: Row[Any]) -> Node:
    return Node(
        name=row.name,
        instance=row.instance,
        hostname=row.hostname,
        pid=row.pid,
        port=row.port,
        queues=tuple(row.queues),
        slots=row.slots,
        version=row.version,
        cpu_percent=row.cpu_percent,
        started_at=row.started_at,
        heartbeat_at=row.heartbeat_at,
        stopped_at=row.stopped_at,
    )
