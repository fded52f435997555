"""Calls are claimed by one at a time, in order, until they are removed."""

import threading
from typing import Any

from sqlalchemy import update

from tork_celery.domain.webhooks import WebhookCall
from tork_celery.store import Database, webhook_queue
from tork_celery.store.tables import webhook_calls as table
from tork_celery.store.webhook_queue import ClaimedCall


def call(name: str, *, stream: str | None = None, **values: Any) -> WebhookCall:
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


def test_a_call_comes_back_as_it_was_added_and_once(database: Database) -> None:
    add(database, call("a"), call("b"))
    add(database)

    first, second = claim(database, limit=1), claim(database)

    assert [each.call for each in first + second] == [call("a"), call("b")]
    assert [each.attempts for each in first + second] == [1, 1]
    assert claim(database) == []


def test_the_calls_of_a_stream_wait_for_each_other(database: Database) -> None:
    add(database, call("a1", stream="a"), call("a2", stream="a"), call("b"))

    first = claim(database)
    assert [each.call.url for each in first] == ["http://h/a1", "http://h/b"]
    assert claim(database) == []

    with database.transaction() as tx:
        assert webhook_queue.remove(tx, first[0])
    assert [each.call.url for each in claim(database)] == ["http://h/a2"]


def test_what_is_postponed_is_due_later(database: Database) -> None:
    add(database, call("a"))
    [first] = claim(database)

    with database.transaction() as tx:
        assert webhook_queue.postpone(tx, first, delay_s=60.0)
        assert not webhook_queue.any_due(tx)
        assert webhook_queue.postpone(tx, first, delay_s=-1.0)
        assert webhook_queue.any_due(tx)

    assert [each.attempts for each in claim(database)] == [2]


def test_a_claim_that_ran_out_is_given_to_somebody_else(database: Database) -> None:
    add(database, call("a"))
    [late] = claim(database, lease_s=-1.0)

    [again] = claim(database)

    assert again.attempts == 2
    with database.transaction() as tx:
        assert not webhook_queue.postpone(tx, late, delay_s=0.0)
        assert not webhook_queue.remove(tx, late)
        assert webhook_queue.remove(tx, again)
        assert not webhook_queue.any_due(tx)


def test_the_oldest_go_first(database: Database) -> None:
    add(database, call("a"), call("b"))
    with database.transaction() as tx:
        tx.execute(update(table).where(table.c.stream == "b").values(due_at=table.c.due_at - 5.0))

    assert [each.call.url for each in claim(database, limit=1)] == ["http://h/b"]


def test_many_claim_at_once_and_each_call_is_claimed_once(database: Database) -> None:
    add(database, *(call(str(number)) for number in range(40)))
    found: list[str] = []

    def work() -> None:
        while claimed := claim(database, limit=3):
            found.extend(each.call.url for each in claimed)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(found) == len(set(found)) == 40
