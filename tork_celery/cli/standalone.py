"""`tork-celery standalone`: everything in one command."""

import fcntl
import os
import re
import signal
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import click
import requests

from tork_celery import bootstrap, settings
from tork_celery.cli import broker
from tork_celery.cli.bind_check import DEFAULT_PORT, refuse_to_expose
from tork_celery.cli.supervisor import Service, Supervisor
from tork_celery.domain import queue_names
from tork_celery.domain.errors import ConfigurationError
from tork_celery.domain.queue_names import CONTROL_QUEUE, DEFAULT_QUEUE
from tork_celery.store import nodes
from tork_celery.store.database import Database
from tork_celery.store.migration import migrate

_READY_WITHIN_S = 60.0
_STOP_WITHIN_S = 15.0
_CONTROL_THREADS = 4
_SLOTS = re.compile(r"0*[1-9][0-9]{0,3}", re.ASCII)

# Ctrl-C ends the steps and gives their tasks back; SIGTERM (and a closed terminal) leaves them running.
_WORKER_STOP = {signal.SIGINT: signal.SIGINT, signal.SIGTERM: signal.SIGTERM, signal.SIGHUP: signal.SIGTERM}


class QueueSlots(click.ParamType[tuple[str, int]]):
    """`NAME:N`, a queue and how many steps of it run at a time."""

    name = "NAME:N"

    def convert(
        self, value: str | tuple[str, int], param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, int]:
        if isinstance(value, tuple):
            return value
        name, _, slots = value.rpartition(":")
        if not name or not _SLOTS.fullmatch(slots):
            self.fail(f"{value!r} is not NAME:N, such as transcoding:3", param, ctx)
        try:
            queue_names.check(name)
        except ValueError as error:
            self.fail(f"{name!r}: {error}", param, ctx)
        return name, int(slots)


def _queues_once(
    _context: click.Context, _parameter: click.Parameter, value: Sequence[tuple[str, int]]
) -> dict[str, int]:
    slots_of: dict[str, int] = {}
    for name, slots in value or [(DEFAULT_QUEUE, os.cpu_count() or 1)]:
        if name in slots_of:
            raise click.BadParameter(f"the queue {name!r} is named twice")
        slots_of[name] = slots
    return slots_of


@click.command()
@click.option(
    "--queue",
    "queues",
    type=QueueSlots(),
    multiple=True,
    callback=_queues_once,
    help="A queue to serve and its slots; may be repeated. [default: default:CORES]",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", default=DEFAULT_PORT, show_default=True, type=click.IntRange(1, 65535))
@click.option("--data-dir", type=click.Path(path_type=Path, file_okay=False), help="Where all state is kept.")
@click.option("--runtime", type=click.Choice(["docker", "shell"]), help="Where steps run. [default: docker]")
@click.option("--insecure", is_flag=True, help="Listen beyond this machine without authentication.")
def standalone(  # the options are the command's own
    queues: dict[str, int],
    host: str,
    port: int,
    data_dir: Path | None,
    runtime: str | None,
    *,
    insecure: bool,
) -> None:
    """Run the whole system: broker, API, coordinator and one worker a queue."""
    environment = dict(os.environ)
    if data_dir is not None:
        environment["TORK_DATA_DIR"] = str(data_dir.resolve())
    if runtime is not None:
        environment["TORK_RUNTIME"] = runtime
    config = settings.Settings.load(environment)
    refuse_to_expose(host, insecure=insecure, authenticated=bool(config.auth))
    with ExitStack() as stack:
        stack.enter_context(_only_user_of(config.data_dir))
        _refuse_taken_port(host, port)
        _check_runtime(config)
        database = stack.enter_context(_migrated(config))
        _Standalone(
            environment, config, database, queues=queues, host=host, port=port, insecure=insecure
        ).run(stack)


class _Standalone:
    def __init__(
        self,
        environment: dict[str, str],
        config: settings.Settings,
        database: Database,
        *,
        queues: dict[str, int],
        host: str,
        port: int,
        insecure: bool,
    ) -> None:
        self._environment = environment
        self._config = config
        self._database = database
        self._queues = queues
        self._host = host
        self._port = port
        self._insecure = insecure
        self._supervisor = Supervisor(environment, _say, stop_within_s=_STOP_WITHIN_S + config.stop.wait_s)

    def run(self, stack: ExitStack) -> None:
        stack.enter_context(self._supervisor.attentive())
        if self._start_broker(stack):
            self._start_services()
            if self._supervisor.wait(self._ready, within_s=_READY_WITHIN_S):
                self._announce()
                self._supervisor.run()
            elif self._supervisor.stop_signal is None:
                raise ConfigurationError(
                    f"not ready after {_READY_WITHIN_S:g} s; what is missing is said above"
                )
        _say("stopping")
        self._supervisor.stop()

    def _start_broker(self, stack: ExitStack) -> bool:
        """Start the embedded broker unless another one is named; whether there is one to go on with."""
        if self._environment.get("TORK_BROKER_URL"):
            return True
        path = stack.enter_context(broker.socket_path(self._config.data_dir))
        self._environment["TORK_BROKER_URL"] = broker.url(path)
        self._supervisor.start(Service(name="broker", command=broker.command(path, self._config.data_dir)))
        return self._supervisor.wait(lambda: broker.answers(path), within_s=_READY_WITHIN_S, every_s=0.02)

    def _start_services(self) -> None:
        self._supervisor.start(
            Service(name="control", command=[*_worker(CONTROL_QUEUE, _CONTROL_THREADS), "--beat"])
        )
        listen = [
            "--host",
            self._host,
            "--port",
            str(self._port),
            *(["--insecure"] if self._insecure else []),
        ]
        self._supervisor.start(
            Service(name="api", command=[sys.executable, "-m", "tork_celery.cli", "api", *listen])
        )
        for name, slots in self._queues.items():
            self._supervisor.start(
                Service(name=f"worker {name}", command=_worker(name, slots), stop_signals=_WORKER_STOP)
            )

    def _ready(self) -> bool:
        """Every node of this process has said that it is there, and the API is well."""
        with self._database.reading() as tx:
            here = {
                queue
                for node in nodes.active(tx, within_s=self._config.lease_s)
                if node.hostname == socket.gethostname() and node.stopped_at is None and _alive(node.pid)
                for queue in node.queues
            }
        return {*self._queues, CONTROL_QUEUE} <= here and self._healthy()

    def _healthy(self) -> bool:
        try:
            return requests.get(f"{self._address}/health", timeout=2).ok
        except requests.RequestException:
            return False

    @property
    def _address(self) -> str:
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}"

    def _announce(self) -> None:
        served = ", ".join(f"{name}:{slots}" for name, slots in self._queues.items())
        _say(f"ready: listening on {self._address}, serving {served}")
        _say(f"state is in {self._config.data_dir}; stop with Ctrl-C")


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _worker(queue: str, slots: int) -> list[str]:
    celery = [sys.executable, "-m", "celery", "-A", "tork_celery", "--quiet", "worker"]
    return [*celery, "-Q", queue, "-c", str(slots)]


def _say(text: str) -> None:
    click.echo(f"tork-celery: {text}")


@contextmanager
def _only_user_of(data_dir: Path) -> Iterator[None]:
    """Raises ConfigurationError when another process has the data directory."""
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = (data_dir / "lock").open("w")
    except OSError as error:
        raise ConfigurationError(f"the data directory {data_dir} cannot be used: {error.strerror}") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConfigurationError(
                f"another tork-celery uses the data directory {data_dir}; choose one with --data-dir"
            ) from error
        yield


def _refuse_taken_port(host: str, port: int) -> None:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ConfigurationError(
                f"cannot listen on {host}, port {port}: {error.strerror}; choose another one with --port"
            ) from error


def _check_runtime(config: settings.Settings) -> None:
    """Raises EngineUnavailable or ConfigurationError when steps could not run."""
    runtime = bootstrap.runtime(config, cluster="none", node="none", slots=1)
    try:
        runtime.check()
    finally:
        runtime.close()


@contextmanager
def _migrated(config: settings.Settings) -> Iterator[Database]:
    database = bootstrap.database(config)
    try:
        migrate(database)
        yield database
    finally:
        database.close()
