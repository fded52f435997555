"""`tork-celery api`: the REST API under gunicorn."""

import os
import socket
from typing import Any

import click
from flask import Flask
from gunicorn.app.base import BaseApplication

from tork_celery import bootstrap, child_processes, log_config, settings
from tork_celery.api import create_app
from tork_celery.api.context import ApiContext
from tork_celery.cli.bind_check import DEFAULT_PORT, check_bind_address
from tork_celery.cli.presence import Presence
from tork_celery.domain.node import Node
from tork_celery.services.long_poll import JobWaiter
from tork_celery.store import schema_version


class _Server(BaseApplication):
    def __init__(self, options: dict[str, Any], *, port: int) -> None:
        self._options = options | {"worker_exit": self._leave}
        self._port = port
        self._presence: Presence | None = None
        super().__init__()

    def load_config(self) -> None:
        for key, value in self._options.items():
            self.cfg.set(key, value)

    def load(self) -> Flask:
        """The app of one worker process: connections are not shared across a fork."""
        config = settings.load()
        log_config.configure(config.log_level)
        store = bootstrap.database(config, slots=self._options["threads"])
        context = bootstrap.context(config, bootstrap.celery_app(), store)
        self._presence = Presence(store, self._node(), interval_s=config.heartbeat_s)
        self._presence.start()
        return create_app(
            ApiContext(
                services=context,
                version=bootstrap.VERSION,
                job_waiter=JobWaiter(slots=max(1, self._options["threads"] // 2)),
                body_limit_bytes=config.body_limit_bytes,
                image_required=config.runtime != "shell",
                authenticator=bootstrap.authenticator(config, store),
                cors_origins=config.cors_origins,
            )
        )

    def _node(self) -> Node:
        """The name tells the processes of one host: by their port and, where they share it, by their ids."""
        name = f"api-{self._port}" if self._options["workers"] == 1 else f"api-{self._port}-{os.getpid()}"
        return bootstrap.node(f"{name}@{socket.gethostname()}", [], port=self._port)

    def _leave(self, _arbiter: object, _worker: object) -> None:
        if self._presence is not None:
            self._presence.stop()


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", default=DEFAULT_PORT, show_default=True, type=click.IntRange(0, 65535))
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1), help="Processes.")
@click.option("--threads", default=8, show_default=True, type=click.IntRange(1), help="Threads of each.")
@click.option("--insecure", is_flag=True, help="Listen beyond this machine without authentication.")
def api(host: str, port: int, workers: int, threads: int, *, insecure: bool) -> None:
    """Serve the REST API."""
    config = settings.load()
    check_bind_address(host, insecure=insecure, authenticated=bool(config.auth))
    store = bootstrap.database(config)
    schema_version.check(store)
    store.close()
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
