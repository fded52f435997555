"""The datastore, and its check at the start of a process."""

from collections.abc import Callable
from typing import TypeVar

import structlog

from tork_celery.domain.errors import DatastoreUnavailable
from tork_celery.outages import until_available
from tork_celery.settings import Settings
from tork_celery.store import Database, access, nodes, schema_version, secret_keys

log = structlog.get_logger(__name__)
T = TypeVar("T")

_CONNECTIONS_BESIDE_SLOTS = 6  # for the heartbeat, the log shipper and other threads


def build_database(
    settings: Settings, *, slots: int = 4, detect_hangs: bool = False, log_outages: bool = False
) -> Database:
    """Return the datastore, with connections for `slots` steps or requests at a time."""
    return Database.connect(
        settings.datastore_url,
        pool_size=slots + _CONNECTIONS_BESIDE_SLOTS,
        full_sync=settings.datastore_full_sync,
        detect_hangs=detect_hangs,
        log_outages=log_outages,
        cipher=secret_keys.load_cipher(settings.datastore_url, settings.secret_key),
        reserve_disk=True,
    )


def check_datastore(database: Database) -> None:
    """Wait until the datastore answers, then check the schema and the key of the secrets.

    Raises ConfigurationError, also if the datastore refuses the settings.
    """

    def check() -> bool:
        schema_version.check(database)
        return secret_keys.check(database)

    encrypted = when_it_answers(database, check)
    if not encrypted:
        log.warning("secrets.stored_in_clear", hint="set TORK_SECRET_KEY to encrypt them")


def when_it_answers(database: Database, action: Callable[[], T]) -> T:
    """Repeat `action` while the datastore is away. Raises ConfigurationError if it refuses the settings."""

    def attempt() -> T:
        try:
            return action()
        except DatastoreUnavailable as error:
            access.check(database, error)
            raise

    return until_available(attempt, database.outages)


def cluster_id(database: Database) -> str:
    with database.transaction() as tx:
        return nodes.cluster_id(tx)
