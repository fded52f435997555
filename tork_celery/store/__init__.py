"""The datastore: tables, queries and migrations. Rows never leave this package.

A function takes the transaction in which it runs as its first argument; the caller opens and commits the
transaction.
"""

from tork_celery.store.database import Database

__all__ = ["Database"]
