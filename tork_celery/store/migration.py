"""Migration of the datastore's schema with Alembic."""

from importlib.resources import files

from alembic import command
from alembic.config import Config
from sqlalchemy import text

from tork_celery.store.database import Database

_LOCK = 7_465_746  # key of the advisory lock for migrations on PostgreSQL; an arbitrary constant


def migrate(database: Database) -> None:
    """Upgrade the schema to the newest revision. Safe to run in several processes at once."""
    with database.transaction() as tx:
        if tx.dialect.name == "postgresql":
            tx.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        alembic = alembic_config()
        alembic.attributes["connection"] = tx
        command.upgrade(alembic, "head")


def alembic_config() -> Config:
    """Return Alembic's configuration for the migrations of this package."""
    config = Config()
    config.set_main_option("script_location", str(files("tork_celery.store") / "migrations"))
    return config
