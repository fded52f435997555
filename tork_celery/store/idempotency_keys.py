"""First answers to requests with an Idempotency-Key, which later requests with the same key get again."""

from dataclasses import asdict, replace
from typing import Any, cast

from sqlalchemy import Connection, delete, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.dml import ReturningInsert

from tork_celery.domain.idempotency import KEPT_FOR_S, Answer, IdempotencyKey
from tork_celery.store.database import datastore_now, datastore_now_once
from tork_celery.store.tables import idempotency_keys as table


def get(tx: Connection, key: IdempotencyKey) -> Answer | None:
    """Return the stored answer, which may belong to a request with another body."""
    query = select(table.c.digest, table.c.answer).where(
        table.c.owner == key.owner,
        table.c.route == key.route,
        table.c.key == key.key,
        table.c.created_at >= datastore_now() - KEPT_FOR_S,
    )
    row = tx.execute(query).one_or_none()
    return None if row is None else Answer(key=replace(key, digest=row.digest), text=row.answer)


def add(tx: Connection, answer: Answer) -> bool:
    """Store the answer to a request, together with what the request creates.

    Returns False if the key has an answer, and what the request creates must not be stored. On PostgreSQL it
    waits for a transaction that is storing an answer for the key: a transaction with several answers must
    add them in the order of their keys, before all else.
    """
    values = asdict(answer.key) | {"answer": answer.text}
    return tx.execute(_INSERT[tx.dialect.name], values).one_or_none() is not None


def remove_expired(tx: Connection, *, limit: int) -> int:
    """Delete answers that are no longer kept, the oldest first. Returns their number."""
    expired = select(*table.primary_key).where(table.c.created_at < datastore_now_once() - KEPT_FOR_S)
    oldest = expired.order_by(table.c.created_at).limit(limit)
    return tx.execute(delete(table).where(tuple_(*table.primary_key).in_(oldest))).rowcount


def _insert(dialect: Any) -> ReturningInsert[tuple[str]]:
    """Return the statement that stores an answer if the key has none, or one that is no longer kept."""
    statement = dialect.insert(table).values(created_at=datastore_now())
    upsert = statement.on_conflict_do_update(
        index_elements=list(table.primary_key),
        set_={name: statement.excluded[name] for name in ("digest", "answer", "created_at")},
        where=table.c.created_at < statement.excluded.created_at - KEPT_FOR_S,
    )
    return cast(ReturningInsert[tuple[str]], upsert.returning(table.c.key))


_INSERT = {"sqlite": _insert(sqlite), "postgresql": _insert(postgresql)}
