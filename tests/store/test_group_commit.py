"""Group commit: what threads store at the same time is in one transaction; an error fails one call."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Connection

from tests.eventually import eventually
from tests.store.stores import FlakyDatabase
from tork_celery.domain.errors import DatastoreFull, DatastoreUnavailable
from tork_celery.store import nodes
from tork_celery.store import task_queues as queues
from tork_celery.store.group_commit import MOST_ITEMS, GroupCommit


@dataclass
class Transactions:
    """Transactions of a datastore that begin when `proceed` is set. `groups` are the items of each."""

    database: FlakyDatabase
    proceed: threading.Event = field(default_factory=threading.Event)
    groups: list[list[str]] = field(default_factory=list)

    @contextmanager
    def __call__(self) -> Iterator[Connection]:
        self.proceed.wait(30)
        with self.database.transaction() as tx:
            yield tx

    def store(self, tx: Connection, names: Sequence[str]) -> None:
        """Store the names of queues. Raises ValueError for an empty one."""
        self.groups.append(list(names))
        queues.add(tx, names)
        if "" in names:
            raise ValueError("no name")


@pytest.fixture
def transactions(database: FlakyDatabase) -> Transactions:
    return Transactions(database)


def add_together(
    transactions: Transactions, names: Sequence[str], store: Callable[..., None] | None = None
) -> dict[str, BaseException]:
    """Add names in threads of their own, so that all of them wait when the first group begins.

    Return the errors by name.
    """
    group = GroupCommit(transactions)
    errors = dict[str, BaseException]()

    def add(name: str) -> None:
        try:
            group.add(store or transactions.store, name)
        except Exception as error:  # noqa: BLE001
            errors[name] = error

    threads = [threading.Thread(target=add, args=[name]) for name in names]
    for number, thread in enumerate(threads, start=1):
        thread.start()
        eventually(partial(_has_waiting, group, number))
    transactions.proceed.set()
    for thread in threads:
        thread.join()
    return errors


def _has_waiting(group: GroupCommit, number: int) -> bool:
    return len(group._waiting) == number


def stored(database: FlakyDatabase) -> list[str]:
    with database.reading() as tx:
        return sorted(queues.unchecked(tx, for_s=-60, limit=1000))


def test_items_that_wait_share_a_transaction(database: FlakyDatabase, transactions: Transactions) -> None:
    assert add_together(transactions, ["a", "b", "c"]) == {}

    assert transactions.groups == [["a", "b", "c"]]
    assert stored(database) == ["a", "b", "c"]


def test_size_of_a_group_is_limited(database: FlakyDatabase, transactions: Transactions) -> None:
    names = [f"{number:03}" for number in range(MOST_ITEMS + 2)]

    add_together(transactions, names)

    assert [len(group) for group in transactions.groups] == [MOST_ITEMS, 2]
    assert stored(database) == names


def test_error_fails_only_the_call_that_causes_it(
    database: FlakyDatabase, transactions: Transactions
) -> None:
    errors = add_together(transactions, ["a", "", "b"])

    assert {name: str(error) for name, error in errors.items()} == {"": "no name"}
    assert stored(database) == ["a", "b"]


def test_error_of_a_single_item_rolls_back(database: FlakyDatabase) -> None:
    def fail(tx: Connection, names: Sequence[str]) -> None:
        queues.add(tx, names)
        raise ValueError("no name")

    with pytest.raises(ValueError, match="no name"):
        database.group_commit.add(fail, "a")

    assert stored(database) == []


def test_outage_fails_all_calls_of_a_group(database: FlakyDatabase, transactions: Transactions) -> None:
    database.failures_left = 1

    errors = add_together(transactions, ["a", "b"])

    assert {name: type(error) for name, error in errors.items()} == dict.fromkeys("ab", DatastoreUnavailable)
    assert errors["a"] is not errors["b"]
    assert database.failures == 1


def test_full_disk_is_reported_to_all_calls_of_a_group(transactions: Transactions) -> None:
    def fail(_tx: Connection, _names: Sequence[str]) -> None:
        raise DatastoreFull("the disk is full")

    errors = add_together(transactions, ["a", "b"], fail)

    assert [repr(errors[name]) for name in "ab"] == ["DatastoreFull('the disk is full')"] * 2


def test_items_of_different_functions_do_not_share_a_transaction(database: FlakyDatabase) -> None:
    groups = list[tuple[str, list[Any]]]()
    proceed = threading.Event()

    def store_letters(_tx: Connection, items: Sequence[str]) -> None:
        groups.append(("letters", list(items)))
        proceed.wait(30)

    def store_numbers(tx: Connection, items: Sequence[int]) -> None:
        nodes.cluster_id(tx)
        groups.append(("numbers", list(items)))

    group = database.group_commit
    calls: list[Callable[[], None]] = [
        lambda: group.add(store_letters, "a"),
        lambda: group.add(store_numbers, 1),
        lambda: group.add(store_numbers, 2),
    ]
    threads = [threading.Thread(target=call) for call in calls]
    threads[0].start()
    eventually(lambda: groups)
    for waiting, thread in enumerate(threads[1:], start=1):
        thread.start()
        eventually(partial(_has_waiting, group, waiting))
    proceed.set()
    for thread in threads:
        thread.join()

    assert groups == [("letters", ["a"]), ("numbers", [1, 2])]
