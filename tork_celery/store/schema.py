"""The datastore's schema: made and brought up to date by migrations."""

from importlib.resources import files

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from tork_celery.domain.errors import ConfigurationError
from tork_celery.store.database import Database

_LOCK = 7_465_746  # any constant: it names the advisory lock under which PostgreSQL is migrated


def migrate(database: Database) -> None:
    """Bring the schema to what this version needs. Any number of processes may do so at once."""
    with database.transaction() as tx:
        if tx.dialect.name == "postgresql":
            tx.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        config = _config()
        config.attributes["connection"] = tx
        command.upgrade(config, "head")


def check(database: Database) -> None:
    """Raises ConfigurationError unless the schema is the one that this version needs."""
    with database.reading() as tx:
        found, needed = revision(tx), ScriptDirectory.from_config(_config()).get_current_head()
    if found != needed:
        raise ConfigurationError(
            f"the datastore's schema is at {found or 'nothing'}, this version needs {needed}: "
            "run `tork-celery migration`"
        )


def revision(tx: Connection) -> str | None:
    return MigrationContext.configure(tx).get_current_revision()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(files("tork_celery.store") / "migrations"))
    return config
