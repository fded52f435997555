"""`tork-celery migration`."""

import click

from tork_celery import log_config, settings
from tork_celery.bootstrap.datastore import build_database
from tork_celery.cli.options import add_global_options
from tork_celery.cli.standalone.data_directory import make_private
from tork_celery.store import schema_version, secret_keys
from tork_celery.store.migration import migrate


@click.command()
@click.option(
    "--rotate",
    is_flag=True,
    help="Also encrypt all secrets with the newest key, while other processes run.",
)
@add_global_options
def migration(*, rotate: bool) -> None:
    """Create or upgrade the schema of the datastore. Safe to run several times at once."""
    log_config.configure("WARNING")
    config = settings.load()
    if config.datastore_url.startswith("sqlite"):
        make_private(config.data_dir)
    database = build_database(config)
    migrate(database)
    secret_keys.check(database)
    with database.reading() as tx:
        click.echo(f"the datastore is at revision {schema_version.revision(tx)}")
    if rotate:
        click.echo(f"encrypted the secrets of {secret_keys.rotate(database)} rows with the newest key")
    database.close()
