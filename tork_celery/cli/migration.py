"""`tork-celery migration`."""

import click

from tork_celery import bootstrap, settings
from tork_celery.store import schema_version
from tork_celery.store.migration import migrate


@click.command()
def migration() -> None:
    """Create or upgrade the schema of the datastore. Safe to run several times at once."""
    config = settings.load()
    config.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    database = bootstrap.build_database(config)
    migrate(database)
    with database.reading() as tx:
        click.echo(f"the datastore is at revision {schema_version.revision(tx)}")
    database.close()
