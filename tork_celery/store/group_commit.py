"""Group commit: threads that store something at the same time share a transaction.

The first thread opens the transaction, and stores what all of them have added until then. While it commits,
the next group gathers. Nobody waits for a group to become larger.
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import Connection

from tork_celery.domain.errors import DatastoreUnavailable

T = TypeVar("T")

MOST_ITEMS = 64
"""Items of one transaction."""

Store = Callable[[Connection, Sequence[T]], None]
"""Stores items in a transaction."""


@dataclass(slots=True, eq=False)
class _Entry:
    store: Store[Any]
    item: Any
    is_done: bool = False
    error: BaseException | None = None

    def finish(self, error: BaseException | None) -> None:
        self.error = error
        self.is_done = True


class GroupCommit:
    """Stores items in transactions that `transaction` opens. Thread-safe."""

    def __init__(self, transaction: Callable[[], AbstractContextManager[Connection]]) -> None:
        self._transaction = transaction
        self._turn = threading.Lock()
        self._waiting = deque[_Entry]()

    def add(self, store: Store[T], item: T) -> None:
        """Store an item, in one transaction with those that other threads store by the same function.

        An error of `store` about one item fails only the call that has added it: the others of its group
        are stored each by itself. Raises DatastoreUnavailable and the errors of `store`; then the item is
        not stored.
        """
        entry = _Entry(store, item)
        self._waiting.append(entry)
        with self._turn:
            while not entry.is_done:
                self._store_group()
        if entry.error is not None:
            raise entry.error

    def _store_group(self) -> None:
        group = list[_Entry]()
        try:
            with self._transaction() as tx:
                group = self._take_group()
                _store(tx, group)
        except DatastoreUnavailable as error:
            for entry in group or self._take_group():
                entry.finish(type(error)(str(error)).with_traceback(error.__traceback__))
        except Exception as error:  # noqa: BLE001  each call gets its own
            self._store_each(group, error)
        else:
            for entry in group:
                entry.finish(None)

    def _store_each(self, group: Sequence[_Entry], error: Exception) -> None:
        """Store the entries of a failed group each by itself."""
        if len(group) <= 1:
            for entry in group or self._take_group():
                entry.finish(error)
            return
        for entry in group:
            try:
                with self._transaction() as tx:
                    _store(tx, [entry])
            except Exception as own_error:  # noqa: BLE001  the call that added it raises it
                entry.finish(own_error)
            else:
                entry.finish(None)

    def _take_group(self) -> list[_Entry]:
        """Return the first waiting entries that are stored by the same function; there is at least one."""
        group = [self._waiting.popleft()]
        while self._waiting and self._waiting[0].store == group[0].store and len(group) < MOST_ITEMS:
            group.append(self._waiting.popleft())
        return group


def _store(tx: Connection, group: Sequence[_Entry]) -> None:
    group[0].store(tx, [entry.item for entry in group])
