"""The processes of standalone mode: broker, coordinator, API and one worker per queue."""

import signal
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

from tork_celery.cli.standalone import embedded_broker
from tork_celery.cli.standalone.readiness import ReadinessCheck
from tork_celery.cli.standalone.start_report import Reporter, StartReport, is_human, resumed_tasks
from tork_celery.cli.standalone.supervised_process import Service
from tork_celery.cli.standalone.supervisor import Supervisor
from tork_celery.domain.queue_names import CONTROL_QUEUE
from tork_celery.settings import Settings
from tork_celery.store.database import Database

_REPORT_AFTER_S = 10.0
_STOP_WITHIN_S = 15.0
_CONTROL_THREADS = 4
_LARGE_LOG_BYTES = 5 * 2**20
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
    which the steps of the shell runtime inherit. `engine` describes what runs the steps. Messages of
    libraries go to files in the data directory unless `verbose`."""

    queues: dict[str, int]
    host: str
    port: int
    insecure: bool
    umask: int
    engine: str
    verbose: bool = False

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
        self._reporter = Reporter(human=is_human(config.log_format))
        self._resumed = resumed_tasks(database)
        self._logs = config.data_dir / "logs"
        self._supervisor = Supervisor(
            environment, self._reporter.say, stop_within_s=_STOP_WITHIN_S + config.stop.wait_s
        )

    def run(self) -> None:
        """Run until a signal to stop arrives."""
        with ExitStack() as stack:
            stack.enter_context(self._supervisor)
            if self._start(stack):
                self._report_ready()
                self._supervisor.run()
            self._reporter.say("stopping")
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
        log_file = None if self._options.verbose else self._fresh_log("broker")
        command = embedded_broker.server_command(path, self._config.data_dir, log_file=log_file)
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
                self._reporter.say(f"not ready yet: {now_missing}")
                reported = now_missing
        return True

    def _start_services(self) -> None:
        services = [_coordinator(), _api(self._options)]
        services += [
            _worker(queue, slots, self._options.umask) for queue, slots in self._options.queues.items()
        ]
        for service in services:
            self._supervisor.start(service if self._options.verbose else self._with_library_log(service))

    def _with_library_log(self, service: Service) -> Service:
        """Return a service whose libraries log to a file, unless the settings name one."""
        if self._config.library_log:
            return service
        file = self._logs / f"{quote(service.name, safe=' ').replace(' ', '-')}.log"
        return replace(service, environment={"TORK_LIBRARY_LOG": str(file)})

    def _fresh_log(self, name: str) -> Path:
        """Return the path of a log file, after the rotation of one that has grown large."""
        self._logs.mkdir(mode=0o700, exist_ok=True)
        file = self._logs / f"{name}.log"
        if file.exists() and file.stat().st_size > _LARGE_LOG_BYTES:
            file.replace(self._logs / f"{name}.log.1")
        return file

    def _report_ready(self) -> None:
        self._reporter.started(
            StartReport(
                url=self._options.api_url,
                queues=self._options.queues,
                engine=self._options.engine,
                data_dir=self._config.data_dir,
                resumed=self._resumed,
            )
        )


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
