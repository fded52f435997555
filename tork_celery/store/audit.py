"""Queries of the audit log."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select

from tork_celery.domain.audit import Action, Actor, AuditEntry
from tork_celery.store.database import datastore_now
from tork_celery.store.tables import audit

_LONGEST = 256
_LONGEST_ADDRESS = 64
_INSERT = insert(audit).values(created_at=datastore_now())


def record(
    tx: Connection, actor: Actor | None, action: Action, target: str, detail: str | None = None
) -> None:
    """Record a change in the transaction that makes it. Changes without an actor, by the system, are not
    recorded."""
    if actor is not None:
        record_all(tx, [(actor, target)], action, detail)


def record_all(
    tx: Connection, changes: Sequence[tuple[Actor, str]], action: Action, detail: str | None = None
) -> None:
    """Record changes of one kind, each with its actor and its target."""
    rows = [
        {
            "username": actor.username,
            "address": actor.address and actor.address[:_LONGEST_ADDRESS],
            "action": action,
            "target": target[:_LONGEST],
            "detail": detail and detail[:_LONGEST],
        }
        for actor, target in changes
    ]
    if rows:
        tx.execute(_INSERT, rows)


def page(tx: Connection, *, number: int, size: int) -> tuple[Sequence[AuditEntry], int]:
    """Return page `number` (from 1) of the log, newest entries first, and the total of entries."""
    query = select(audit).order_by(audit.c.seq.desc()).limit(size).offset((number - 1) * size)
    entries = [_entry(row) for row in tx.execute(query)]
    return entries, tx.scalar(select(func.count()).select_from(audit)) or 0


def _entry(row: Row[Any]) -> AuditEntry:
    return AuditEntry(
        id=row.seq,
        created_at=row.created_at,
        actor=Actor(username=row.username, address=row.address),
        action=Action(row.action),
        target=row.target,
        detail=row.detail,
    )
