"""`tork-celery migration`."""

import click

from tork_celery import bootstrap, settings
from tork_celery.cli.data_directory import make_private
from tork_celery.store import schema_version
from tork_celery.store.migration import migrate


@click.command()
def migration() -> None:
    """Create or upgrade the schema of the datastore. Safe to run several times at once."""
    config = settings.load()
    if config.datastore_url.startswith("sqlite"):
        make_private(config.data_dir)
    database = bootstrap.build_database(config)
    migrate(database)
    with database.reading() as tx:
        click.echo(f"the datastore is at revision {schema_version.revision(tx)}")
    database.close()
