"""Webhook calls are claimed once at a time and in order, until they are removed."""

import threading
from typing import Any

import pytest
from sqlalchemy import update

from tork_celery.domain.webhooks import WebhookCall
from tork_celery.store import Database, webhook_queue
from tork_celery.store.tables import webhook_calls as table
from tork_celery.store.webhook_queue import ClaimedCall, Exclusions, receiver_key

NOTHING = Exclusions()


def make_call(name: str, *, stream: str | None = None, **values: Any) -> WebhookCall:
    return WebhookCall(
        **{
            "stream": stream or name,
            "job_id": "j",
            "event": "job.StateChange",
            "url": f"http://h/{name}",
            "headers": {"X": name},
            "body": "{}",
        }
        | values
    )


def add(database: Database, *calls: WebhookCall) -> None:
    with database.transaction() as tx:
        webhook_queue.add(tx, calls)


def claim(
    database: Database, *, limit: int = 9, lease_s: float = 60.0, excluding: Exclusions = NOTHING
) -> list[ClaimedCall]:
    """Claim calls, one in a transaction."""
    claimed: list[ClaimedCall] = []
    while len(claimed) < limit:
        with database.transaction() as tx:
            call = webhook_queue.claim(tx, lease_s=lease_s, excluding=excluding)
        if call is None:
            break
        claimed.append(call)
    return claimed


def urls_of(database: Database, claimed: list[ClaimedCall]) -> list[str]:
    with database.reading() as tx:
        return [call.url for each in claimed if (call := webhook_queue.get(tx, each))]


def test_call_round_trips_and_is_claimed_once(database: Database) -> None:
    add(database, make_call("a"), make_call("b"))
    add(database)

    claimed = claim(database, limit=1) + claim(database)

    with database.reading() as tx:
        assert [webhook_queue.get(tx, each) for each in claimed] == [make_call("a"), make_call("b")]
    assert [(each.attempts, each.job_id) for each in claimed] == [(1, "j"), (1, "j")]
    assert claim(database) == []


def test_calls_of_a_stream_are_claimed_one_after_another(database: Database) -> None:
    add(database, make_call("a1", stream="a"), make_call("a2", stream="a"), make_call("b"))

    first = claim(database)
    assert urls_of(database, first) == ["http://h/a1", "http://h/b"]
    assert claim(database) == []

    with database.transaction() as tx:
        assert webhook_queue.remove(tx, first[0])
    assert urls_of(database, claim(database)) == ["http://h/a2"]


def test_postponed_call_is_due_later(database: Database) -> None:
    add(database, make_call("a"))
    [first] = claim(database)

    with database.transaction() as tx:
        assert webhook_queue.postpone(tx, first, delay_s=60.0)
        assert not webhook_queue.any_due(tx)
        assert webhook_queue.postpone(tx, first, delay_s=-1.0)
        assert webhook_queue.any_due(tx)

    assert [each.attempts for each in claim(database)] == [2]


def test_expired_claim_can_be_claimed_again(database: Database) -> None:
    add(database, make_call("a"))
    [expired] = claim(database, lease_s=-1.0, limit=1)

    [second] = claim(database)

    assert second.attempts == 2
    with database.transaction() as tx:
        assert not webhook_queue.postpone(tx, expired, delay_s=0.0)
        assert not webhook_queue.remove(tx, expired)
        assert webhook_queue.get(tx, expired) is None
        assert webhook_queue.remove(tx, second)
        assert not webhook_queue.any_due(tx)


def test_oldest_call_is_claimed_first(database: Database) -> None:
    add(database, make_call("a"), make_call("b"))
    with database.transaction() as tx:
        tx.execute(update(table).where(table.c.stream == "b").values(due_at=table.c.due_at - 5.0))

    assert urls_of(database, claim(database, limit=1)) == ["http://h/b"]


@pytest.mark.parametrize(
    ("excluding", "urls"),
    [
        (NOTHING, ["http://h/a", "http://h:8080/b", "http://H/c"]),
        (Exclusions(receivers=[receiver_key("http://h")]), ["http://h:8080/b"]),
        (Exclusions(receivers=[receiver_key("http://h"), receiver_key("http://h:8080")]), []),
        (Exclusions(job_ids=["2"]), ["http://h/a", "http://H/c"]),
    ],
)
def test_calls_of_excluded_receivers_and_jobs_are_not_claimed(
    database: Database, excluding: Exclusions, urls: list[str]
) -> None:
    add(
        database,
        make_call("a", job_id="1"),
        make_call("b", job_id="2", url="http://h:8080/b"),
        make_call("c", job_id="3", url="http://H/c"),
    )

    with database.reading() as tx:
        assert webhook_queue.any_due(tx, excluding) is bool(urls)
    assert urls_of(database, claim(database, excluding=excluding)) == urls


def test_excluded_call_is_not_claimed_after_its_claim_has_expired(database: Database) -> None:
    add(database, make_call("a"))
    [in_progress] = claim(database, lease_s=-1.0, limit=1)

    assert claim(database, excluding=Exclusions(ids=[in_progress.id])) == []
    assert [each.id for each in claim(database)] == [in_progress.id]


def test_concurrent_claims_never_return_the_same_call(database: Database) -> None:
    add(database, *(make_call(str(number)) for number in range(40)))
    urls: list[str] = []

    def work() -> None:
        while claimed := claim(database, limit=3):
            urls.extend(urls_of(database, claimed))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(urls) == len(set(urls)) == 40
