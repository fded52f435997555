"""`tork-celery standalone`: the whole system in one command."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from tork_celery import log_config
from tork_celery.bootstrap.datastore import build_database
from tork_celery.bootstrap.migration import migrate_datastore
from tork_celery.bootstrap.runtime import build_runtime
from tork_celery.cli.bind_check import DEFAULT_PORT, check_bind_address, check_port_is_free
from tork_celery.cli.options import add_global_options
from tork_celery.cli.standalone.data_directory import locked, make_private, private_files
from tork_celery.cli.standalone.queue_option import QueueSlotsType, slots_by_queue
from tork_celery.cli.standalone.system import StandaloneOptions, StandaloneSystem
from tork_celery.domain.errors import EngineUnavailable
from tork_celery.settings import Settings
from tork_celery.store.database import Database


@click.command()
@click.option(
    "--queue",
    "queues",
    type=QueueSlotsType(),
    multiple=True,
    callback=slots_by_queue,
    help="A queue to serve and its number of slots; repeatable.  [default: default:CORES]",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    default=DEFAULT_PORT,
    show_default=True,
    type=click.IntRange(1, 65535),
    help="Port to listen on.",
)
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Directory for all state.  [default: TORK_DATA_DIR]",
)
@click.option(
    "--runtime", type=click.Choice(["docker", "shell"]), help="Where steps run.  [default: TORK_RUNTIME]"
)
@click.option(
    "--insecure", is_flag=True, help="Allow an address that other machines reach without authentication."
)
@click.option(
    "--verbose", is_flag=True, help="Also print the messages of the libraries and of the embedded broker."
)
@add_global_options
def standalone(
    queues: dict[str, int],
    host: str,
    port: int,
    data_dir: Path | None,
    runtime: str | None,
    *,
    insecure: bool,
    verbose: bool,
) -> None:
    """Run the whole system: broker, API, coordinator and one worker per queue."""
    environment = dict(os.environ)
    if data_dir is not None:
        environment["TORK_DATA_DIR"] = str(data_dir.resolve())
    if runtime is not None:
        environment["TORK_RUNTIME"] = runtime
    config = Settings.load(environment)
    log_config.configure(config.log_level, log_format=config.log_format)
    check_bind_address(host, insecure=insecure, authenticated=bool(config.auth))
    make_private(config.data_dir)
    with locked(config.data_dir), private_files() as umask:
        check_port_is_free(host, port)
        options = StandaloneOptions(
            queues=queues,
            host=host,
            port=port,
            insecure=insecure,
            umask=umask,
            engine=_check_runtime(config),
            verbose=verbose,
        )
        with _migrated_datastore(config) as database:
            StandaloneSystem(environment, config, database, options).run()


def _check_runtime(config: Settings) -> str:
    """Return what runs the steps. The workers wait for an engine that is away.

    Raises ConfigurationError if this machine can never run steps.
    """
    runtime = build_runtime(config, cluster="none", node="none", slots=1)
    try:
        runtime.check()
        return runtime.describe()
    except EngineUnavailable as error:
        return f"not available yet: {error}"
    finally:
        runtime.close()


@contextmanager
def _migrated_datastore(config: Settings) -> Iterator[Database]:
    """Open the datastore, as soon as it answers. Raises ConfigurationError."""
    database = build_database(config)
    try:
        migrate_datastore(config, database)
        yield database
    finally:
        database.close()
