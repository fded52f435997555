"""Runs the front under uvicorn, in one process or in several that share a socket."""

import os
import resource
from collections.abc import Callable
from dataclasses import dataclass

import uvicorn
from uvicorn.supervisors import Multiprocess

from tork_celery import child_processes
from tork_celery.api.front.application import Front
from tork_celery.api.front.protocol import LimitedHttpProtocol

_KEEP_ALIVE_S = 30
_SHUTDOWN_S = 5
_BACKLOG = 2048


@dataclass(frozen=True, slots=True)
class _ChildFactory:
    """Builds the application in a child process, which ends with its parent. Picklable if `build` is."""

    build: Callable[[], Front]

    def __call__(self) -> Front:
        child_processes.die_with_parent()
        return self.build()


def serve(build: Callable[[], Front], *, host: str, port: int, processes: int) -> None:
    """Serve until SIGTERM or SIGINT.

    `build` makes the application, once in each process; it must be picklable for more than one.
    """
    _raise_file_limit()
    server = make_server(build if processes == 1 else _ChildFactory(build), host=host, port=port)
    if processes == 1:
        server.run()
        return
    # The children are started by `python -c`, which would import from the working directory first.
    os.environ["PYTHONSAFEPATH"] = "1"
    server.config.workers = processes
    Multiprocess(server.config, sockets=[server.config.bind_socket()]).run()


def make_server(build: Callable[[], Front], *, host: str, port: int) -> uvicorn.Server:
    """Return a server of one process."""
    config = uvicorn.Config(
        build,
        factory=True,
        host=host,
        port=port,
        http=LimitedHttpProtocol,
        ws="none",
        loop="uvloop",
        lifespan="on",
        backlog=_BACKLOG,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=_SHUTDOWN_S,
        server_header=False,
        date_header=True,
        proxy_headers=False,
        access_log=False,
        log_config=None,
        log_level="error",
    )
    return uvicorn.Server(config)


def _raise_file_limit() -> None:
    """Raise the soft limit of open files to the hard one: each connection is a file."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
