"""`tork-celery backup FILE`."""

from pathlib import Path

import click

from tork_celery import settings
from tork_celery.cli.local_datastore import local_datastore
from tork_celery.cli.options import add_global_options, session
from tork_celery.domain.errors import ConfigurationError, InvalidInput
from tork_celery.store import backups


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@add_global_options
def backup(file: Path) -> None:
    """Copy the datastore of this machine's settings to a new file, while the system runs.

    SQLite only. The key that encrypts secrets is not in the copy: keep `tork.db.key` or TORK_SECRET_KEY too.
    """
    if file.exists():
        raise InvalidInput(f"{file} exists already; choose a new file")
    if not settings.load().datastore_url.startswith("sqlite"):
        raise ConfigurationError(
            "the datastore is PostgreSQL: `pg_dump --format=custom` makes a backup while the system runs"
        )
    with local_datastore() as database:
        size_bytes = backups.copy(database, file)
    session().say(f"copied the datastore to {file}, {size_bytes / 2**20:.1f} MiB")
