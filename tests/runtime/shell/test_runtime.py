import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.eventually import eventually
from tests.runtime.runtime_contract import RuntimeContract
from tests.runtime.steps_at_work import PATIENCE_S, Recorder, Steps, is_alive, start
from tork_celery.domain.definition import Limits, Mount, Registry
from tork_celery.domain.errors import ConfigurationError, StepFailed
from tork_celery.domain.model import StepRef
from tork_celery.runtime.shell import ShellRuntime

ENVIRON = {"PATH": os.environ["PATH"], "HOME": "/somewhere", "TORK_BROKER_URL": "redis://:secret@broker"}

# Two generations below the script, one of them in a session of its own, and deaf to TERM.
FAMILY = """
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
def steps() -> Steps:
    return Steps(image=None)


@pytest.fixture
def elsewhere(tmp_path: Path) -> str:
    return str(tmp_path / "else" / "where")


class TestShellRuntime(RuntimeContract):
    """The contract that both runtimes keep."""


def pids(recorder: Recorder) -> list[int]:
    eventually(lambda: recorder.printed().count(b"\n") == 3)
    return [int(line) for line in recorder.printed().split()]


def test_a_script_sees_nothing_of_the_workers_secrets(runtime: ShellRuntime, steps: Steps) -> None:
    recorder = Recorder()

    runtime.run(steps.step("env", env={"MINE": "1"}), recorder, started=recorder.started)

    names = {line.partition("=")[0] for line in recorder.printed().decode().splitlines()}
    assert {"PATH", "HOME", "MINE"} <= names
    assert "TORK_BROKER_URL" not in names


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("an image", {"image": "busybox"}),
        ("an entrypoint", {"entrypoint": ("bash",)}),
        ("mounts", {"mounts": (Mount(type="volume", target="/x"),)}),
        ("networks", {"networks": ("bridge",)}),
        ("sidecars", {"sidecars": (Steps(None).sidecar("s", "true", beside=REF),)}),
        ("limits", {"limits": Limits(memory="16m")}),
        ("gpus", {"gpus": "all"}),
        ("registry credentials", {"registry": Registry(username="u", password="p")}),
    ],
)
def test_what_needs_a_container_is_refused(
    runtime: ShellRuntime, steps: Steps, name: str, asked: dict[str, object]
) -> None:
    with pytest.raises(StepFailed, match=f"cannot give a task {name}"):
        runtime.run(steps.step("true", **asked), Recorder(), started=lambda: None)  # type: ignore[arg-type]


def test_a_task_must_say_what_to_run(runtime: ShellRuntime, steps: Steps) -> None:
    with pytest.raises(StepFailed, match="run or cmd"):
        runtime.run(steps.step(), Recorder(), started=lambda: None)


@pytest.mark.parametrize("env", [{"A": "x\0y"}, {"A": "x" * 300_000}])
def test_an_environment_that_no_process_can_have_fails_the_task(
    runtime: ShellRuntime, steps: Steps, env: dict[str, str]
) -> None:
    with pytest.raises(StepFailed, match="cannot be run"):
        runtime.run(steps.step("true", env=env), Recorder(), started=lambda: None)


def test_a_work_directory_that_cannot_be_fails_the_task(runtime: ShellRuntime, steps: Steps) -> None:
    with pytest.raises(StepFailed, match="workdir /dev/null/x"):
        runtime.run(steps.step("true", workdir="/dev/null/x"), Recorder(), started=lambda: None)


def test_a_run_that_an_earlier_process_began_is_run_again(runtime: ShellRuntime, steps: Steps) -> None:
    run, recorder = steps.step("echo x >> $TORK_OUTPUT"), Recorder()
    runtime.run(run, recorder, started=recorder.started)

    assert runtime.run(run, recorder, started=recorder.started).output == b"x\n"


def test_there_is_nothing_to_follow_and_nothing_left_of_it(runtime: ShellRuntime, steps: Steps) -> None:
    run, recorder = steps.step("true"), Recorder()
    runtime.run(run, recorder, started=recorder.started)

    assert runtime.follow(run.ref, recorder) is None
    assert runtime.progress(run.ref) is None


def test_a_broken_pipe_ends_a_program_as_it_does_everywhere(runtime: ShellRuntime, steps: Steps) -> None:
    recorder = Recorder()

    ended = runtime.run(steps.step("yes | head -n 1"), recorder, started=recorder.started)

    assert (ended.code, recorder.printed()) == (0, b"y\n")


def test_stopping_kills_all_descendants(runtime: ShellRuntime, steps: Steps) -> None:
    run, recorder = steps.step(FAMILY), Recorder()
    future = start(runtime, run, recorder)
    family = pids(recorder)
    assert all(is_alive(pid) for pid in family)

    runtime.kill(run.ref)

    assert future.result(PATIENCE_S).code == 137
    assert not any(is_alive(pid) for pid in family)


def test_what_a_script_leaves_running_is_killed_at_its_end(runtime: ShellRuntime, steps: Steps) -> None:
    recorder = Recorder()
    script = "setsid sh -c 'echo $$; sleep 300' & echo $$; read -r line < /proc/$!/stat; sleep 0.2; echo 1"

    runtime.run(steps.step(script), recorder, started=recorder.started)

    family = [int(line) for line in recorder.printed().split()][:2]
    assert not any(is_alive(pid) for pid in family)


def test_leaving_ends_the_script_for_it_cannot_be_adopted(runtime: ShellRuntime, steps: Steps) -> None:
    recorder = Recorder()
    future = start(runtime, steps.step(FAMILY), recorder)
    family = pids(recorder)

    runtime.detach()

    assert future.exception(PATIENCE_S) is not None
    assert not any(is_alive(pid) for pid in family)


def test_killing_the_worker_kills_the_script_and_its_descendants(tmp_path: Path) -> None:
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
    command = [sys.executable, "-c", worker, str(tmp_path), FAMILY]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        family = [int(process.stdout.readline()) for _ in range(3)]
        assert all(is_alive(pid) for pid in family)

        process.send_signal(signal.SIGKILL)

    eventually(lambda: not any(is_alive(pid) for pid in family))


def test_root_must_be_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)

    with pytest.raises(ConfigurationError, match="TORK_SHELL_ALLOW_ROOT"):
        ShellRuntime(node="n", work_dir=tmp_path, environ={})


def test_another_user_need_not_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    ShellRuntime(node="n", work_dir=tmp_path, environ={}).check()
