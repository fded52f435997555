"""The shell runtime: steps as processes of this host, for hosts without a container engine."""

import math
import os
import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path

import structlog

from tork_celery.domain.errors import ConfigurationError, StepFailed
from tork_celery.domain.model import StepRef
from tork_celery.runtime.entrypoints import DEFAULT_ENTRYPOINT, interpreter, script_arguments
from tork_celery.runtime.exchange import (
    ENTRYPOINT,
    OUTPUT,
    PROGRESS,
    WORKDIR,
    Exchange,
    NotRegularFile,
    unusable_output,
    write_files,
)
from tork_celery.runtime.protocol import Disk, Leftovers, Sink, StepExit, StepRun
from tork_celery.runtime.running_steps import KILLED_BEFORE_START, KillTimers, RunningSteps
from tork_celery.runtime.shell.process import Process

log = structlog.get_logger(__name__)

# A script inherits only these variables of the worker: others may hold secrets, such as the broker's URL.
_INHERITED_VARIABLES = (
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "LANG",
    "LANGUAGE",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "TMPDIR",
)
_FILE_MODE = 0o644


class ShellRuntime:
    """Runs each step as a process that dies with this one.

    Scripts inherit a few variables of `environ`, the worker's environment. `shell` is the command that runs
    them. Raises ConfigurationError when run as root, unless `allow_root` is set.
    """

    adopts = False

    def __init__(
        self,
        *,
        node: str,
        work_dir: Path,
        environ: Mapping[str, str],
        shell: Sequence[str] = DEFAULT_ENTRYPOINT,
        allow_root: bool = False,
    ) -> None:
        if os.geteuid() == 0 and not allow_root:
            raise ConfigurationError(
                "the shell runtime would run every task's script as root: start the worker as another user, "
                "or set TORK_SHELL_ALLOW_ROOT"
            )
        self._environ = {name: environ[name] for name in _INHERITED_VARIABLES if name in environ}
        self._environ.setdefault("PATH", os.defpath)
        self._shell = tuple(shell)
        self._work_dir = work_dir
        self._exchange = Exchange(work_dir=work_dir, node=node)
        # Held while a script is open for writing, and while a process is forked: until its `exec`, a new
        # process has the open files of all threads, and the kernel executes no file that is open for writing.
        self._fork_lock = threading.Lock()
        self._running = RunningSteps()
        self._kill_timers = KillTimers()

    def run(self, run: StepRun, sink: Sink, *, started: Callable[[], None]) -> StepExit:
        _reject_container_features(run)
        with self._running.enter(run.ref) as step:
            command, cwd = self._prepare(run)
            if not step.may_continue():
                return KILLED_BEFORE_START
            with self._fork_lock:
                process = Process(command, cwd=cwd, env=self._environment(run))
            with closing(process), step.interruptible(process.kill):
                step.mark_started(lambda grace_s: self._kill(run.ref, process, grace_s))
                started()
                for stream, data in process.output():
                    sink(stream, data)
                code = process.wait()
                step.may_continue()  # raises Detached
            return self._exit(run.ref, code)

    def follow(self, ref: StepRef, sink: Sink) -> StepExit | None:  # noqa: ARG002
        """Remove the step: its process died with the worker that started it."""
        with self._running.enter(ref):
            self._exchange.remove(ref)
        return None

    def kill(self, ref: StepRef, *, grace_s: float = 0.0) -> None:
        self._running.kill(ref, grace_s)

    def detach(self) -> None:
        self._running.detach()

    def progress(self, ref: StepRef) -> float | None:
        return self._exchange.progress(ref)

    def used_bytes(self, task_id: str, delivery: int, *, enough: float = math.inf) -> float:
        return self._exchange.used_bytes(task_id, delivery, enough=enough)

    def free_space(self, ref: StepRef) -> None:
        self._exchange.free_space(ref)

    def free_ended(self) -> None:
        """Free the space of all steps of this node: they died with the worker that started them."""
        for ref in self._exchange.steps():
            self._exchange.free_space(ref)

    def kill_largest(self, *, at_least_bytes: float) -> bool:  # noqa: ARG002
        """Do nothing: steps died with their worker, or belong to one that lives and watches them."""
        return False

    def disks(self) -> Sequence[Disk]:
        return [Disk(path=self._work_dir, usage=self._exchange.used_by_delivery)]

    def remove_step(self, ref: StepRef) -> None:
        self._kill_timers.cancel(ref)
        self._running.forget(ref)
        try:
            self._exchange.remove(ref)
        except OSError as error:
            log.warning("runtime.removal_failed", step=str(ref), reason=str(error))

    def reset_step(self, ref: StepRef) -> None:
        self._exchange.remove(ref)

    def remove_delivery(self, task_id: str, delivery: int) -> None:
        try:
            self._exchange.remove_delivery(task_id, delivery)
        except OSError as error:
            log.warning("runtime.removal_failed", task_id=task_id, delivery=delivery, reason=str(error))

    def leftovers(self) -> Iterable[Leftovers]:
        return sorted(self._exchange.leftovers())

    def collect_garbage(self, *, alive: Callable[[], Collection[str]]) -> None:
        """Do nothing: this runtime caches nothing."""

    def check(self, *, within_s: float = 5.0) -> None:
        """Do nothing: a host that runs this process can run another."""

    def describe(self) -> str:
        return "shell, without containers"

    def close(self) -> None:
        self._kill_timers.close()

    def _prepare(self, run: StepRun) -> tuple[list[str], Path]:
        """Create the step's directory. Return its command and the directory in which that starts."""
        if self._exchange.exists(run.ref):  # left by a worker that died, together with the process
            self._exchange.remove(run.ref)
        definition = run.definition
        with self._fork_lock:
            directory = self._exchange.create(run, files={} if run.workdir else definition.files)
        cwd = directory / WORKDIR
        if run.workdir:
            cwd /= run.workdir
            _write_to_host(cwd, definition.files)
        if definition.run is not None:
            return self._script_command(directory / ENTRYPOINT, definition.run, definition.cmd), cwd
        if not definition.cmd:
            raise StepFailed("a task of the shell runtime needs run or cmd")
        return list(definition.cmd), cwd

    def _script_command(self, script: Path, text: str, arguments: Sequence[str]) -> list[str]:
        if os.access(script, os.X_OK):
            return [*self._shell, *script_arguments(self._shell, str(script), arguments)]
        # The file system is mounted with `noexec`.
        return [*interpreter(text, default=self._shell[0]), str(script), *arguments]

    def _exit(self, ref: StepRef, code: int) -> StepExit:
        try:
            return StepExit(code=code, output=self._exchange.output(ref))
        except (NotRegularFile, OSError) as error:
            return StepExit(code=code, note=None if code else unusable_output(error))

    def _environment(self, run: StepRun) -> dict[str, str]:
        directory = self._exchange.path(run.ref)
        return {
            **self._environ,
            **run.env,
            "TORK_OUTPUT": str(directory / OUTPUT),
            "TORK_PROGRESS": str(directory / PROGRESS),
            "TORK_TASK_ID": run.ref.task_id,
            "TORK_JOB_ID": run.job_id,
        }

    def _kill(self, ref: StepRef, process: Process, grace_s: float) -> None:
        if grace_s <= 0:
            process.kill()
        else:
            process.terminate()
            self._kill_timers.start(ref, grace_s, process.kill)


def _write_to_host(directory: Path, files: Mapping[str, str]) -> None:
    """Write `files` to a directory of this host. Existing files that are not among them remain."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        write_files(directory, files, mode=_FILE_MODE)
    except OSError as error:
        raise StepFailed(f"workdir {directory} cannot be used: {error.strerror}") from error


def _reject_container_features(run: StepRun) -> None:
    definition = run.definition
    requested = {
        "an image": definition.image,
        "an entrypoint": definition.entrypoint,
        "mounts": run.mounts,
        "networks": run.networks,
        "sidecars": run.sidecars,
        "limits": run.limits,
        "gpus": run.gpus,
        "registry credentials": definition.registry,
    }
    if rejected := [name for name, value in requested.items() if value]:
        raise StepFailed(
            f"the shell runtime cannot give a task {' or '.join(rejected)}: that needs a container"
        )
