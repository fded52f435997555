"""Queue of webhook calls.

A claim counts an attempt and sets the time at which the call can be claimed again. The number of attempts
is the fencing token: a process whose claim has expired can no longer remove or postpone the call.
"""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, delete, exists, insert, not_, select, update
from sqlalchemy.sql.elements import ColumnElement

from tork_celery.domain.webhook_targets import receiver
from tork_celery.domain.webhooks import WebhookCall
from tork_celery.store.database import datastore_now, datastore_now_once
from tork_celery.store.tables import webhook_calls as calls

_earlier = calls.alias("earlier")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimedCall:
    """A call to make now. `attempts` includes this one; `receiver` is the result of `receiver_key`."""

    id: int
    attempts: int
    job_id: str
    receiver: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Exclusions:
    """Calls that are not to be claimed: by id, and all those of some receivers and jobs."""

    ids: Collection[int] = ()
    receivers: Collection[str] = ()
    job_ids: Collection[str] = ()


_NOTHING = Exclusions()


def receiver_key(url: str) -> str:
    """Return a digest of the host and port of a URL, since a host may be a secret."""
    return hashlib.blake2b(receiver(url).encode(errors="replace"), digest_size=16).hexdigest()


def add(tx: Connection, new: Sequence[WebhookCall]) -> None:
    """Add calls that are due at once."""
    if new:
        now = tx.scalar(select(datastore_now()))
        tx.execute(insert(calls), [_row(call) | {"attempts": 0, "due_at": now} for call in new])


def any_due(tx: Connection, excluding: Exclusions = _NOTHING) -> bool:
    """Return whether there is a call to claim."""
    return tx.scalar(select(calls.c.id).where(*_due(excluding)).limit(1)) is not None


def claim(tx: Connection, *, lease_s: float, excluding: Exclusions = _NOTHING) -> ClaimedCall | None:
    """Claim the call that is due for the longest time, for `lease_s`. Return None if no call is due.

    Only the first call of each stream can be claimed.
    """
    query = select(calls.c.id).where(*_due(excluding)).order_by(calls.c.due_at, calls.c.id).limit(1)
    id_ = tx.scalar(query.with_for_update(skip_locked=True))
    if id_ is None:
        return None
    values = {"attempts": calls.c.attempts + 1, "due_at": datastore_now() + lease_s}
    claim_ = update(calls).where(calls.c.id == id_).values(values)
    row = tx.execute(claim_.returning(calls.c.attempts, calls.c.job_id, calls.c.receiver)).one()
    return ClaimedCall(id=id_, attempts=row.attempts, job_id=row.job_id, receiver=row.receiver)


def get(tx: Connection, claimed: ClaimedCall) -> WebhookCall | None:
    """Return the call to make, or None if the claim is no longer valid. Raises SecretsUnreadable."""
    row = tx.execute(select(calls).where(*_is_valid(claimed))).one_or_none()
    return None if row is None else _call(row)


def remove(tx: Connection, claimed: ClaimedCall) -> bool:
    """Remove a call that is delivered or given up. Return False if the claim is no longer valid."""
    return tx.execute(delete(calls).where(*_is_valid(claimed))).rowcount == 1


def postpone(tx: Connection, claimed: ClaimedCall, *, delay_s: float) -> bool:
    """Make a call due again after `delay_s`. Return False if the claim is no longer valid."""
    query = update(calls).where(*_is_valid(claimed)).values(due_at=datastore_now() + delay_s)
    return tx.execute(query).rowcount == 1


def _due(excluding: Exclusions) -> tuple[ColumnElement[bool], ...]:
    is_first = not_(exists().where(_earlier.c.stream == calls.c.stream, _earlier.c.id < calls.c.id))
    return (
        calls.c.due_at <= datastore_now_once(),
        calls.c.receiver.not_in(excluding.receivers),
        calls.c.job_id.not_in(excluding.job_ids),
        calls.c.id.not_in(excluding.ids),
        is_first,
    )


def _is_valid(claimed: ClaimedCall) -> tuple[ColumnElement[bool], ...]:
    return calls.c.id == claimed.id, calls.c.attempts == claimed.attempts


def _row(call: WebhookCall) -> dict[str, Any]:
    return asdict(call) | {"headers": dict(call.headers), "receiver": receiver_key(call.url)}


def _call(row: Any) -> WebhookCall:
    return WebhookCall(
        stream=row.stream,
        job_id=row.job_id,
        event=row.event,
        url=row.url,
        headers=row.headers,
        body=row.body,
    )
