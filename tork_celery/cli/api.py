"""`tork-celery api`: the REST API under gunicorn."""

from typing import Any
from wsgiref.types import WSGIApplication

import click
from gunicorn.app.base import BaseApplication

from tork_celery import bootstrap, child_processes, log_config, settings
from tork_celery.bootstrap import ApiProcess
from tork_celery.cli.bind_check import DEFAULT_PORT, check_bind_address
from tork_celery.store import schema_version


class _Server(BaseApplication):
    """gunicorn with our options. Each process builds its own app: connections do not survive a fork."""

    def __init__(self, options: dict[str, Any], *, port: int) -> None:
        self._options = options | {"worker_exit": self._on_worker_exit}
        self._port = port
        self._process: ApiProcess | None = None
        super().__init__()

    def load_config(self) -> None:
        for key, value in self._options.items():
            self.cfg.set(key, value)

    def load(self) -> WSGIApplication:
        config = settings.load()
        log_config.configure(config.log_level)
        self._process = bootstrap.build_api(
            config, port=self._port, processes=self._options["workers"], threads=self._options["threads"]
        )
        self._process.presence.start()
        return self._process.app

    def _on_worker_exit(self, _arbiter: object, _worker: object) -> None:
        if self._process is not None:
            self._process.presence.stop()


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=DEFAULT_PORT, show_default=True, type=click.IntRange(0, 65535))
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1), help="Number of processes.")
@click.option("--threads", default=8, show_default=True, type=click.IntRange(1), help="Threads per process.")
@click.option("--insecure", is_flag=True, help="Listen beyond this machine without authentication.")
def api(host: str, port: int, workers: int, threads: int, *, insecure: bool) -> None:
    """Serve the REST API."""
    config = settings.load()
    check_bind_address(host, insecure=insecure, authenticated=bool(config.auth))
    database = bootstrap.build_database(config)
    schema_version.check(database)
    database.close()
    _Server(
        {
            "bind": f"{host}:{port}",
            "workers": workers,
            "threads": threads,
            "worker_class": "gthread",
            "timeout": 60,
            "graceful_timeout": 5,
            "keepalive": 30,
            "accesslog": None,
            "loglevel": "warning",
            "post_fork": lambda _arbiter, _worker: child_processes.die_with_parent(),
        },
        port=port,
    ).run()
