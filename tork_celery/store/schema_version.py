"""Which schema the datastore has. Every process asks at its start, so this does without Alembic, whose import
takes a tenth of a second; `migration` makes the schema with it."""

from sqlalchemy import Connection, inspect, text

from tork_celery.domain.errors import ConfigurationError
from tork_celery.store.database import Database

NEEDED = "0005"
"""The newest of the migrations."""


def check(database: Database) -> None:
    """Raises ConfigurationError unless the schema is the one that this version needs."""
    with database.reading() as tx:
        found = revision(tx)
    if found != NEEDED:
        raise ConfigurationError(
            f"the datastore's schema is at {found or 'nothing'}, this version needs {NEEDED}: "
            "run `tork-celery migration`"
        )


def revision(tx: Connection) -> str | None:
    """None where no migration has been made."""
    if not inspect(tx).has_table("alembic_version"):
        return None
    found: str | None = tx.scalar(text("SELECT version_num FROM alembic_version"))
    return found
