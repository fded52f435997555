"""Check of the schema's revision.

Every process checks it when it starts. This module does not use Alembic, which takes 0.1 s to import.
"""

from sqlalchemy import Connection, inspect, text

from tork_celery.domain.errors import ConfigurationError
from tork_celery.store.database import Database

NEEDED = "0020"
"""Id of the newest revision."""


def is_current(database: Database) -> bool:
    """Return whether the schema has the revision that this version needs."""
    return _current(database) == NEEDED


def check(database: Database) -> None:
    """Raise ConfigurationError unless the schema has the revision that this version needs."""
    current = _current(database)
    if current != NEEDED:
        raise ConfigurationError(
            f"the datastore's schema is at {current or 'nothing'}, this version needs {NEEDED}: "
            "run `tork-celery migration`"
        )


def revision(tx: Connection) -> str | None:
    """Return the id of the schema's revision, or None if the datastore was never migrated."""
    if not inspect(tx).has_table("alembic_version"):
        return None
    version: str | None = tx.scalar(text("SELECT version_num FROM alembic_version"))
    return version


def _current(database: Database) -> str | None:
    with database.reading() as tx:
        return revision(tx)
