"""The processes of standalone mode: broker, coordinator, API and one worker per queue."""

import signal
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

import click

from tork_celery.cli import embedded_broker
from tork_celery.cli.readiness import ReadinessCheck
from tork_celery.cli.supervised_process import Service
from tork_celery.cli.supervisor import Supervisor
from tork_celery.domain.queue_names import CONTROL_QUEUE
from tork_celery.settings import Settings
from tork_celery.store.database import Database

_REPORT_AFTER_S = 10.0
_STOP_WITHIN_S = 15.0
_CONTROL_THREADS = 4
_PYTHON = (sys.executable, "-P", "-m")  # -P: without the working directory, where anybody may have put files

# Ctrl-C kills the steps and releases their tasks; SIGTERM and a closed terminal detach from the steps.
_WORKER_STOP_SIGNALS = {
    signal.SIGINT: signal.SIGINT,
    signal.SIGTERM: signal.SIGTERM,
    signal.SIGHUP: signal.SIGTERM,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class StandaloneOptions:
    """What the system serves: `queues` maps the name of a queue to its slots; the API listens on `host` and
    `port`, without authentication beyond this machine only if `insecure`. `umask` is that of the workers,
    which the steps of the shell runtime inherit."""

    queues: dict[str, int]
    host: str
    port: int
    insecure: bool
    umask: int

    @property
    def api_url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"


class StandaloneSystem:
    """Starts all processes under one supervisor, and stops them on a signal.

    `environment` is that of the processes. The embedded broker is started unless TORK_BROKER_URL is in it.
    """

    def __init__(
        self, environment: dict[str, str], config: Settings, database: Database, options: StandaloneOptions
    ) -> None:
        self._environment = environment
        self._config = config
        self._options = options
        self._readiness = ReadinessCheck(
            database,
            queues=[*options.queues, CONTROL_QUEUE],
            api_url=options.api_url,
            lease_s=config.lease_s,
        )
        self._supervisor = Supervisor(environment, _report, stop_within_s=_STOP_WITHIN_S + config.stop.wait_s)

    def run(self) -> None:
        """Run until a signal to stop arrives."""
        with ExitStack() as stack:
            stack.enter_context(self._supervisor)
            if self._start(stack):
                self._report_ready()
                self._supervisor.run()
            _report("stopping")
            self._supervisor.stop()

    def _start(self, stack: ExitStack) -> bool:
        """Start all processes and wait until the system is ready; return False on a signal to stop."""
        if not self._start_broker(stack):
            return False
        self._start_services()
        return self._wait_for(self._readiness.missing)

    def _start_broker(self, stack: ExitStack) -> bool:
        """Start the embedded broker if it is needed; return whether a broker is available."""
        if self._environment.get("TORK_BROKER_URL"):
            return True
        path = stack.enter_context(embedded_broker.socket_path(self._config.data_dir))
        self._environment["TORK_BROKER_URL"] = embedded_broker.broker_url(path)
        command = embedded_broker.server_command(path, self._config.data_dir)
        self._supervisor.start(Service(name="broker", command=command))
        return self._wait_for(
            lambda: None if embedded_broker.is_ready(path) else "the broker does not answer", every_s=0.02
        )

    def _wait_for(self, missing: Callable[[], str | None], *, every_s: float = 0.05) -> bool:
        """Wait until nothing is missing. Report what is, after 10 s and whenever that changes.

        Return False on a signal to stop.
        """
        reported = None
        while not self._supervisor.wait(lambda: missing() is None, within_s=_REPORT_AFTER_S, every_s=every_s):
            if self._supervisor.stop_signal is not None:
                return False
            if (now_missing := missing()) not in (None, reported):
                _report(f"not ready yet: {now_missing}")
                reported = now_missing
        return True

    def _start_services(self) -> None:
        self._supervisor.start(_coordinator())
        self._supervisor.start(_api(self._options))
        for queue, slots in self._options.queues.items():
            self._supervisor.start(_worker(queue, slots, self._options.umask))

    def _report_ready(self) -> None:
        served = ", ".join(f"{name}:{slots}" for name, slots in self._options.queues.items())
        _report(f"ready: listening on {self._options.api_url}, serving {served}")
        _report(f"data directory: {self._config.data_dir}; stop with Ctrl-C")


def _coordinator() -> Service:
    return Service(name="coordinator", command=_celery_worker(CONTROL_QUEUE, _CONTROL_THREADS))


def _api(options: StandaloneOptions) -> Service:
    command = [*_PYTHON, "tork_celery.cli", "api"]
    command += ["--host", options.host, "--port", str(options.port)]
    if options.insecure:
        command.append("--insecure")
    return Service(name="api", command=command)


def _worker(queue: str, slots: int, umask: int) -> Service:
    return Service(
        name=f"worker {queue}",
        command=_celery_worker(queue, slots),
        stop_signals=_WORKER_STOP_SIGNALS,
        umask=umask,
    )


def _celery_worker(queue: str, threads: int) -> list[str]:
    return [*_PYTHON, "tork_celery.tasks.worker_process", "-Q", queue, "-c", str(threads)]


def _report(text: str) -> None:
    click.echo(f"tork-celery: {text}")
