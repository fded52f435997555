"""A wait for changes ends when a transaction commits some."""

import threading
from contextlib import closing

from sqlalchemy import text

from tests.eventually import eventually
from tests.store.stores import FlakyDatabase, store_job
from tork_celery.domain.errors import DatastoreUnavailable
from tork_celery.store.change_wakeups import Polling, change_wakeups

END_LISTENERS = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND query LIKE '%INTO change_listeners%' AND pid <> pg_backend_pid()
"""


def test_wait_ends_with_a_change(database: FlakyDatabase) -> None:
    never = threading.Event()
    with closing(change_wakeups(database)) as wakeups:
        wakeups.wait(never)
        store_job(database)

        eventually(lambda: wakeups.wait(never))


def test_lost_connection_is_opened_again(database: FlakyDatabase) -> None:
    never = threading.Event()
    with closing(change_wakeups(database)) as wakeups:
        if isinstance(wakeups, Polling):
            return
        wakeups.wait(never)
        with database.transaction() as tx:
            tx.execute(text(END_LISTENERS))

        def waits() -> bool:
            try:
                return wakeups.wait(never)
            except DatastoreUnavailable:
                return False

        assert eventually(waits)
