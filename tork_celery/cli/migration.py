"""`tork-celery migration`."""

import click

from tork_celery import bootstrap, settings
from tork_celery.store import schema_version
from tork_celery.store.migration import migrate


@click.command()
def migration() -> None:
    """Bring the datastore's schema to this version. Any number may run at once."""
    config = settings.load()
    config.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    database = bootstrap.database(config)
    migrate(database)
    with database.reading() as tx:
        click.echo(f"the datastore is at {schema_version.revision(tx)}")
    database.close()
