"""`tork-celery api`: serves the REST API."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from tork_celery import log_config, settings
from tork_celery.bootstrap.datastore import build_database, check_datastore
from tork_celery.cli.bind_check import DEFAULT_PORT, check_bind_address
from tork_celery.cli.options import add_global_options

if TYPE_CHECKING:
    from tork_celery.api.front import Front


@dataclass(frozen=True, slots=True, kw_only=True)
class _Build:
    """Builds the API in the process that serves it: connections do not survive a fork."""

    port: int
    processes: int
    threads: int

    def __call__(self) -> "Front":
        from tork_celery.bootstrap.api import build_api  # noqa: PLC0415  other commands need no Flask

        config = settings.load()
        _configure_log(config)
        return build_api(config, port=self.port, processes=self.processes, threads=self.threads)


def _configure_log(config: settings.Settings) -> None:
    log_config.configure(config.log_level, log_format=config.log_format, library_log=config.library_log)


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=DEFAULT_PORT, show_default=True, type=click.IntRange(0, 65535))
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1), help="Number of processes.")
@click.option("--threads", default=8, show_default=True, type=click.IntRange(1), help="Threads per process.")
@click.option("--insecure", is_flag=True, help="Listen beyond this machine without authentication.")
@add_global_options
def api(host: str, port: int, workers: int, threads: int, *, insecure: bool) -> None:
    """Serve the REST API."""
    from tork_celery.api.front import serve  # noqa: PLC0415  other commands need no web server
    from tork_celery.bootstrap.broker import check_broker  # noqa: PLC0415  nor Celery

    config = settings.load()
    check_bind_address(host, insecure=insecure, authenticated=bool(config.auth))
    _configure_log(config)
    database = build_database(config)
    check_datastore(database)
    database.close()
    check_broker()
    build = _Build(port=port, processes=workers, threads=threads)
    serve(build, host=host, port=port, processes=workers)
