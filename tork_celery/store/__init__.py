"""The datastore, which is the truth: tables, queries, migrations. Rows never leave this package.

Functions take the transaction that they are part of as their first argument, so that a reader sees at
the caller where a transaction begins and ends.
"""

from tork_celery.store.database import Database

__all__ = ["Database"]
