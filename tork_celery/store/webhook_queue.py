"""Queue of webhook calls.

A claim counts an attempt and sets the time at which the call can be claimed again. The number of attempts
is the fencing token: a process whose claim has expired can no longer remove or postpone the call.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, delete, exists, insert, not_, select, update
from sqlalchemy.sql.elements import ColumnElement

from tork_celery.domain.webhooks import WebhookCall
from tork_celery.store.database import datastore_now, datastore_now_once
from tork_celery.store.tables import webhook_calls as calls

_earlier = calls.alias("earlier")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimedCall:
    """A call to make now. `attempts` includes this one."""

    id: int
    attempts: int
    call: WebhookCall


def add(tx: Connection, new: Sequence[WebhookCall]) -> None:
    """Add calls that are due at once."""
    if new:
        now = tx.scalar(select(datastore_now()))
        rows = [asdict(call) | {"headers": dict(call.headers), "attempts": 0, "due_at": now} for call in new]
        tx.execute(insert(calls), rows)


def any_due(tx: Connection) -> bool:
    """Return whether there is a call to claim."""
    return tx.scalar(select(calls.c.id).where(*_due()).limit(1)) is not None


def claim(tx: Connection, *, limit: int, lease_s: float) -> list[ClaimedCall]:
    """Claim calls that are due for `lease_s`, oldest first, and at most one call of each stream."""
    query = select(calls.c.id).where(*_due()).order_by(calls.c.due_at).limit(limit)
    ids = tx.scalars(query.with_for_update(skip_locked=True)).all()
    claim_ = (
        update(calls)
        .where(calls.c.id.in_(ids))
        .values(attempts=calls.c.attempts + 1, due_at=datastore_now() + lease_s)
        .returning(calls)
    )
    return [_claimed(row) for row in tx.execute(claim_)] if ids else []


def remove(tx: Connection, claimed: ClaimedCall) -> bool:
    """Remove a call that is delivered or given up. Return False if the claim is no longer valid."""
    return tx.execute(delete(calls).where(*_is_valid(claimed))).rowcount == 1


def postpone(tx: Connection, claimed: ClaimedCall, *, delay_s: float) -> bool:
    """Make a call due again after `delay_s`. Return False if the claim is no longer valid."""
    query = update(calls).where(*_is_valid(claimed)).values(due_at=datastore_now() + delay_s)
    return tx.execute(query).rowcount == 1


def _due() -> tuple[ColumnElement[bool], ...]:
    is_first = not_(exists().where(_earlier.c.stream == calls.c.stream, _earlier.c.id < calls.c.id))
    return calls.c.due_at <= datastore_now_once(), is_first


def _is_valid(claimed: ClaimedCall) -> tuple[ColumnElement[bool], ...]:
    return calls.c.id == claimed.id, calls.c.attempts == claimed.attempts


def _claimed(row: Any) -> ClaimedCall:
    call = WebhookCall(
        stream=row.stream,
        job_id=row.job_id,
        event=row.event,
        url=row.url,
        headers=row.headers,
        body=row.body,
    )
    return ClaimedCall(id=row.id, attempts=row.attempts, call=call)
