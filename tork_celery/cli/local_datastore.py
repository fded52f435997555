"""The datastore of this machine's settings, for commands that work on it without the API."""

import getpass
from collections.abc import Iterator
from contextlib import contextmanager

from tork_celery import log_config, settings
from tork_celery.bootstrap.datastore import build_database
from tork_celery.domain.audit import Actor
from tork_celery.store import Database, schema_version


@contextmanager
def local_datastore() -> Iterator[Database]:
    """Open the datastore. Raises ConfigurationError, also for a schema of another version."""
    log_config.configure("WARNING")
    database = build_database(settings.load())
    try:
        schema_version.check(database)
        yield database
    finally:
        database.close()


def local_actor() -> Actor:
    """Return who runs this command, for the audit log."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError):  # no such user, for example in a container
        name = "unknown"
    return Actor(address=f"local:{name}")
