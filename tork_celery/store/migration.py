"""Making the datastore's schema, and bringing it up to date."""

from importlib.resources import files

from alembic import command
from alembic.config import Config
from sqlalchemy import text

from tork_celery.store.database import Database

_LOCK = 7_465_746  # any constant: it names the advisory lock under which PostgreSQL is migrated


def migrate(database: Database) -> None:
    """Bring the schema to what this version needs. Any number of processes may do so at once."""
    with database.transaction() as tx:
        if tx.dialect.name == "postgresql":
            tx.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        alembic = config()
        alembic.attributes["connection"] = tx
        command.upgrade(alembic, "head")


def config() -> Config:
    """Alembic's, with our migrations."""
    made = Config()
    made.set_main_option("script_location", str(files("tork_celery.store") / "migrations"))
    return made
