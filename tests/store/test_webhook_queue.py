"""Webhook calls are claimed once at a time and in order, until they are removed."""

import threading
from typing import Any

from sqlalchemy import update

from tork_celery.domain.webhooks import WebhookCall
from tork_celery.store import Database, webhook_queue
from tork_celery.store.tables import webhook_calls as table
from tork_celery.store.webhook_queue import ClaimedCall


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


def claim(database: Database, *, limit: int = 9, lease_s: float = 60.0) -> list[ClaimedCall]:
    with database.transaction() as tx:
        return webhook_queue.claim(tx, limit=limit, lease_s=lease_s)


def test_call_round_trips_and_is_claimed_once(database: Database) -> None:
    add(database, make_call("a"), make_call("b"))
    add(database)

    first, second = claim(database, limit=1), claim(database)

    assert [each.call for each in first + second] == [make_call("a"), make_call("b")]
    assert [each.attempts for each in first + second] == [1, 1]
    assert claim(database) == []


def test_calls_of_a_stream_are_claimed_one_after_another(database: Database) -> None:
    add(database, make_call("a1", stream="a"), make_call("a2", stream="a"), make_call("b"))

    first = claim(database)
    assert [each.call.url for each in first] == ["http://h/a1", "http://h/b"]
    assert claim(database) == []

    with database.transaction() as tx:
        assert webhook_queue.remove(tx, first[0])
    assert [each.call.url for each in claim(database)] == ["http://h/a2"]


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
    [expired] = claim(database, lease_s=-1.0)

    [second] = claim(database)

    assert second.attempts == 2
    with database.transaction() as tx:
        assert not webhook_queue.postpone(tx, expired, delay_s=0.0)
        assert not webhook_queue.remove(tx, expired)
        assert webhook_queue.remove(tx, second)
        assert not webhook_queue.any_due(tx)


def test_oldest_call_is_claimed_first(database: Database) -> None:
    add(database, make_call("a"), make_call("b"))
    with database.transaction() as tx:
        tx.execute(update(table).where(table.c.stream == "b").values(due_at=table.c.due_at - 5.0))

    assert [each.call.url for each in claim(database, limit=1)] == ["http://h/b"]


def test_concurrent_claims_never_return_the_same_call(database: Database) -> None:
    add(database, *(make_call(str(number)) for number in range(40)))
    urls: list[str] = []

    def work() -> None:
        while claimed := claim(database, limit=3):
            urls.extend(each.call.url for each in claimed)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(urls) == len(set(urls)) == 40
