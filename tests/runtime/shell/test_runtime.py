import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from tests.eventually import eventually
from tests.runtime.runtime_contract import RuntimeContract
from tests.runtime.steps import TIMEOUT_S, RecordingSink, StepFactory, is_alive, run_step, start_step
from tork_celery.domain.definition import Limits, Mount, Registry
from tork_celery.domain.errors import ConfigurationError, StepFailed
from tork_celery.domain.model import StepRef
from tork_celery.runtime.exchange import Exchange
from tork_celery.runtime.shell import ShellRuntime

ENVIRON = {"PATH": os.environ["PATH"], "HOME": "/somewhere", "TORK_BROKER_URL": "redis://:secret@broker"}

# A script with two generations of descendants, which are in another session and ignore TERM.
SCRIPT_WITH_DESCENDANTS = """
setsid sh -c 'trap "" TERM; echo $$; sleep 300 & echo $!; wait' &
echo $$
wait
"""


REF = StepRef(task_id="t", delivery=1, step=0)


@pytest.fixture
def runtime(tmp_path: Path) -> Iterator[ShellRuntime]:
    runtime = ShellRuntime(node="default@here", work_dir=tmp_path / "work", environ=ENVIRON, allow_root=True)
    with closing(runtime):
        yield runtime
        runtime.detach()


@pytest.fixture
def steps() -> StepFactory:
    return StepFactory(image=None)


@pytest.fixture
def absolute_workdir(tmp_path: Path) -> str:
    return str(tmp_path / "else" / "where")


class TestShellRuntime(RuntimeContract):
    """Test ShellRuntime against the contract of all runtimes."""


def wait_for_pids(sink: RecordingSink) -> list[int]:
    """Return the process ids that SCRIPT_WITH_DESCENDANTS prints."""
    eventually(lambda: sink.stdout.count(b"\n") == 3)
    return [int(line) for line in sink.stdout.split()]


def test_script_does_not_inherit_the_workers_secrets(runtime: ShellRuntime, steps: StepFactory) -> None:
    sink = RecordingSink()

    run_step(runtime, steps.step("env", env={"MINE": "1"}), sink)

    names = {line.partition("=")[0] for line in sink.stdout.decode().splitlines()}
    assert {"PATH", "HOME", "MINE"} <= names
    assert "TORK_BROKER_URL" not in names


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("an image", {"image": "busybox"}),
        ("an entrypoint", {"entrypoint": ("bash",)}),
        ("mounts", {"mounts": (Mount(type="volume", target="/x"),)}),
        ("networks", {"networks": ("bridge",)}),
        ("sidecars", {"sidecars": (StepFactory(None).sidecar("s", "true", main=REF),)}),
        ("limits", {"limits": Limits(memory="16m")}),
        ("gpus", {"gpus": "all"}),
        ("registry credentials", {"registry": Registry(username="u", password="p")}),
    ],
)
def test_feature_that_needs_a_container_fails_the_step(
    runtime: ShellRuntime, steps: StepFactory, name: str, fields: dict[str, Any]
) -> None:
    with pytest.raises(StepFailed, match=f"cannot give a task {name}"):
        run_step(runtime, steps.step("true", **fields))


def test_step_without_run_and_cmd_fails(runtime: ShellRuntime, steps: StepFactory) -> None:
    with pytest.raises(StepFailed, match="run or cmd"):
        run_step(runtime, steps.step())


@pytest.mark.parametrize("env", [{"A": "x\0y"}, {"A": "x" * 300_000}])
def test_invalid_environment_fails_the_step(
    runtime: ShellRuntime, steps: StepFactory, env: dict[str, str]
) -> None:
    with pytest.raises(StepFailed, match="cannot be run"):
        run_step(runtime, steps.step("true", env=env))


def test_script_runs_from_a_directory_of_any_name(tmp_path: Path, steps: StepFactory) -> None:
    runtime = ShellRuntime(node="n", work_dir=tmp_path / "a b;$c'", environ=ENVIRON, allow_root=True)
    sink = RecordingSink()

    with closing(runtime):
        run_step(runtime, steps.step('echo "$@"', cmd=("one", "two")), sink)

    assert sink.stdout == b"one two\n"


@pytest.mark.parametrize(
    ("script", "printed"), [("#!/bin/bash\necho ${BASH_VERSION:0:1} $1", b"5 x\n"), ("echo $1", b"x\n")]
)
def test_script_on_a_file_system_without_execution_runs(
    runtime: ShellRuntime,
    steps: StepFactory,
    monkeypatch: pytest.MonkeyPatch,
    script: str,
    printed: bytes,
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    sink = RecordingSink()

    run_step(runtime, steps.step(script, cmd=("x",)), sink)

    assert sink.stdout == printed


def test_shell_of_the_scripts_is_a_setting(tmp_path: Path, steps: StepFactory) -> None:
    runtime = ShellRuntime(
        node="n", work_dir=tmp_path, environ=ENVIRON, shell=("bash", "-uc"), allow_root=True
    )
    sink = RecordingSink()

    with closing(runtime):
        run_step(runtime, steps.step("[[ a == a ]] && arr=(1 2) && echo ${arr[1]}"), sink)

    assert sink.stdout == b"2\n"


def test_unreadable_result_is_mentioned(
    runtime: ShellRuntime, steps: StepFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tests may run as root, who can read every file."""
    monkeypatch.setattr(Exchange, "output", Mock(side_effect=PermissionError(13, "Permission denied")))

    step_exit = run_step(runtime, steps.step("echo x > $TORK_OUTPUT"))

    assert (
        step_exit.note == "TORK_OUTPUT cannot be read: Permission denied; the result is what the step printed"
    )


def test_invalid_workdir_fails_the_step(runtime: ShellRuntime, steps: StepFactory) -> None:
    with pytest.raises(StepFailed, match="workdir /dev/null/x"):
        run_step(runtime, steps.step("true", workdir="/dev/null/x"))


def test_step_of_an_earlier_process_runs_again(runtime: ShellRuntime, steps: StepFactory) -> None:
    run, sink = steps.step("echo x >> $TORK_OUTPUT"), RecordingSink()
    run_step(runtime, run, sink)

    assert run_step(runtime, run, sink).output == b"x\n"


def test_follow_removes_the_step(runtime: ShellRuntime, steps: StepFactory) -> None:
    run, sink = steps.step("true"), RecordingSink()
    run_step(runtime, run, sink)

    assert runtime.follow(run.ref, sink) is None
    assert runtime.progress(run.ref) is None


def test_broken_pipe_ends_a_program(runtime: ShellRuntime, steps: StepFactory) -> None:
    sink = RecordingSink()

    step_exit = run_step(runtime, steps.step("yes | head -n 1"), sink)

    assert (step_exit.code, sink.stdout) == (0, b"y\n")


def test_kill_kills_all_descendants(runtime: ShellRuntime, steps: StepFactory) -> None:
    run, sink = steps.step(SCRIPT_WITH_DESCENDANTS), RecordingSink()
    future = start_step(runtime, run, sink)
    pids = wait_for_pids(sink)
    assert all(is_alive(pid) for pid in pids)

    runtime.kill(run.ref)

    assert future.result(TIMEOUT_S).code == 137
    assert not any(is_alive(pid) for pid in pids)


def test_descendants_are_killed_when_the_script_ends(runtime: ShellRuntime, steps: StepFactory) -> None:
    sink = RecordingSink()
    script = "setsid sh -c 'echo $$; sleep 300' & echo $$; read -r line < /proc/$!/stat; sleep 0.2; echo 1"

    run_step(runtime, steps.step(script), sink)

    pids = [int(line) for line in sink.stdout.split()][:2]
    assert not any(is_alive(pid) for pid in pids)


def test_detach_kills_the_script(runtime: ShellRuntime, steps: StepFactory) -> None:
    sink = RecordingSink()
    future = start_step(runtime, steps.step(SCRIPT_WITH_DESCENDANTS), sink)
    pids = wait_for_pids(sink)

    runtime.detach()

    assert future.exception(TIMEOUT_S) is not None
    assert not any(is_alive(pid) for pid in pids)


def test_death_of_the_worker_kills_the_script_and_its_descendants(tmp_path: Path) -> None:
    worker = textwrap.dedent("""
        import os, sys
        from pathlib import Path
        from tork_celery.domain.definition import StepDefinition
        from tork_celery.domain.model import StepRef
        from tork_celery.runtime.protocol import StepRun
        from tork_celery.runtime.shell import ShellRuntime

        runtime = ShellRuntime(node="n", work_dir=Path(sys.argv[1]), environ=os.environ, allow_root=True)
        ref = StepRef(task_id="t", delivery=1, step=0)
        run = StepRun(ref=ref, job_id="j", definition=StepDefinition(run=sys.argv[2]))
        runtime.run(run, lambda _, data: os.write(1, data), started=lambda: None)
    """)
    command = [sys.executable, "-c", worker, str(tmp_path), SCRIPT_WITH_DESCENDANTS]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        pids = [int(process.stdout.readline()) for _ in range(3)]
        assert all(is_alive(pid) for pid in pids)

        process.send_signal(signal.SIGKILL)

    eventually(lambda: not any(is_alive(pid) for pid in pids))


def test_root_is_rejected_by_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)

    with pytest.raises(ConfigurationError, match="TORK_SHELL_ALLOW_ROOT"):
        ShellRuntime(node="n", work_dir=tmp_path, environ={})


def test_plain_user_is_accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    ShellRuntime(node="n", work_dir=tmp_path, environ={}).check()
