"""The migration of the datastore when a process starts."""

from functools import partial

from tork_celery.bootstrap.datastore import when_it_answers
from tork_celery.bootstrap.full_disk import freeing_full_disk
from tork_celery.settings import Settings
from tork_celery.store import Database, schema_version, secret_keys


def migrate_datastore(settings: Settings, database: Database) -> None:
    """Wait until the datastore answers, then migrate its schema and check the key of the secrets.

    Raises ConfigurationError, also if the datastore refuses the settings.
    """

    def prepare() -> None:
        if not schema_version.is_current(database):
            from tork_celery.store.migration import migrate  # noqa: PLC0415  Alembic takes 0.1 s

            migrate(database)
        secret_keys.check(database)

    when_it_answers(database, partial(freeing_full_disk, settings, prepare))
