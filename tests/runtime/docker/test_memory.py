"""A step that exceeds its memory limit is told from one that ends with the same exit code."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePosixPath

import pytest

from tests.eventually import eventually
from tests.runtime.docker.containers import RuntimeFactory
from tests.runtime.steps import TIMEOUT_S, RecordingSink, StepFactory, in_thread, run_step, start_step
from tork_celery.domain.definition import Limits
from tork_celery.domain.model import StepRef
from tork_celery.runtime.docker import DockerRuntime, oom_watcher
from tork_celery.runtime.docker.archives import new_file, pack
from tork_celery.runtime.docker.oom_watcher import OomWatcher, directory_of
from tork_celery.runtime.docker.policy import ContainerPolicy
from tork_celery.runtime.protocol import Detached

LIMITS = Limits(memory="16m")
REF = StepRef(task_id="t", delivery=1, step=0)
FILL_MEMORY = "tail -c 100m /dev/zero > /dev/null"
EXCEEDED = "exceeded its memory limit of 16m"


@pytest.mark.covers("Limits.memory")
@pytest.mark.parametrize(
    ("script", "code", "note"),
    [
        (f"exec {FILL_MEMORY}", 137, EXCEEDED),
        (f"{FILL_MEMORY} || exit 3", 3, EXCEEDED),
        (f"{FILL_MEMORY}; true", 0, f"a process of the step was killed: {EXCEEDED}"),
        ("exit 137", 137, None),
        ("kill -9 $$", 137, None),
        ("sh -c 'kill -9 $$'", 137, None),
        ("exit 1", 1, None),
        ("true", 0, None),
    ],
)
def test_note_says_whether_the_memory_limit_was_exceeded(
    runtime: DockerRuntime, steps: StepFactory, script: str, code: int, note: str | None
) -> None:
    step_exit = run_step(runtime, steps.step(script, limits=LIMITS))

    assert (step_exit.code, step_exit.note) == (code, note)
    assert step_exit.out_of_memory == bool(code and note)


def test_ceiling_of_the_worker_is_a_memory_limit(make_runtime: RuntimeFactory, steps: StepFactory) -> None:
    runtime = make_runtime(policy=ContainerPolicy(max_memory="16m"))

    assert run_step(runtime, steps.step(f"exec {FILL_MEMORY}")).note == EXCEEDED


def test_exceeded_limit_is_noticed_among_many_steps(runtime: DockerRuntime, steps: StepFactory) -> None:
    """The engine alone misses some of these."""

    def note_of(number: int) -> str | None:
        script = f"{FILL_MEMORY} || exit 3" if number % 2 else "exit 137"
        return run_step(runtime, steps.step(script, limits=LIMITS)).note

    with ThreadPoolExecutor(8) as threads:
        notes = list(threads.map(note_of, range(24)))

    assert notes == [EXCEEDED if number % 2 else None for number in range(24)]


def test_exceeded_limit_of_an_adopted_step_is_noticed(
    make_runtime: RuntimeFactory, steps: StepFactory
) -> None:
    earlier, later, sink = make_runtime(), make_runtime(), RecordingSink()
    script = f"echo ready; until [ -e /tmp/go ]; do sleep 0.05; done; {FILL_MEMORY} || exit 3"
    run = steps.step(script, limits=LIMITS)
    start = start_step(earlier, run, sink)
    sink.wait_for(b"ready")
    earlier.detach()
    with pytest.raises(Detached):
        start.result(TIMEOUT_S)

    sink = RecordingSink()
    follow = in_thread(lambda: later.follow(run.ref, sink))
    sink.wait_for(b"ready")
    later._api.put(f"tork-{run.ref}", "/tmp", pack([new_file(PurePosixPath("go"), b"")], modified_at=0))
    step_exit = follow.result(TIMEOUT_S)

    assert step_exit is not None
    assert (step_exit.code, step_exit.note) == (3, EXCEEDED)


# The interface of cgroups of version 2, which a machine with version 1 does not have


@pytest.fixture
def events(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file `memory.events` of process 42, a regular file."""
    (tmp_path / "proc" / "42").mkdir(parents=True)
    (tmp_path / "proc" / "42" / "cgroup").write_text("0::/system.slice/docker-c0ffee.scope\n")
    directory = tmp_path / "cgroups" / "system.slice" / "docker-c0ffee.scope"
    directory.mkdir(parents=True)

    monkeypatch.setattr(oom_watcher, "directory_of", partial(directory_of, proc=tmp_path / "proc"))
    return directory / "memory.events"


@pytest.mark.parametrize(
    ("before", "after", "killed"),
    [
        ("low 0\nmax 9\noom 0\noom_kill 0\noom_group_kill 0\n", None, False),
        ("max 9\noom 1\noom_kill 0\n", "max 9\noom 1\noom_kill 1\n", True),
        ("max 9\noom 1\noom_kill 2\n", None, True),
        ("", None, False),
    ],
)
def test_counter_of_version_2_tells_a_kill(
    events: Path, before: str, after: str | None, *, killed: bool
) -> None:
    events.write_text(before)
    watcher = OomWatcher(cgroups=events.parents[2])
    watcher.watch(REF, "c0ffee", lambda: 42)
    if after is not None:
        events.write_text(after)

    assert watcher.was_killed(REF) is killed
    watcher.forget(REF)
    assert not watcher.was_killed(REF)
    watcher.close()


@pytest.mark.parametrize("directory", ["other.slice", "system.slice"])
def test_container_is_watched_before_its_process_is_known(events: Path, directory: str) -> None:
    """The directory is that of an engine with its usual settings, or like that of an earlier container."""
    root, following = events.parents[2], replace(REF, step=1)
    shutil.move(events.parents[1], root / directory)
    (root.parent / "proc" / "42" / "cgroup").write_text(f"0::/{directory}/docker-c0ffee.scope\n")
    (root / directory / "docker-c0ffee.scope" / "memory.events").write_text("oom_kill 0\n")
    watcher = OomWatcher(cgroups=root)
    watcher.watch(REF, "c0ffee", lambda: 42)

    watcher.expect(following, "beef")
    (root / directory / "docker-beef.scope").mkdir()
    (root / directory / "docker-beef.scope" / "memory.events").write_text("oom_kill 1\n")

    eventually(lambda: watcher.was_killed(following))
    watcher.close()


def test_process_without_a_visible_cgroup_is_not_watched(events: Path) -> None:
    assert not events.exists()
    watcher = OomWatcher(cgroups=events.parents[2])

    watcher.watch(REF, "c0ffee", lambda: 42)
    watcher.watch(REF, "c0ffee", lambda: 43)

    assert not watcher.was_killed(REF)
    watcher.close()


def test_closed_watcher_watches_nothing(events: Path) -> None:
    """Threads of steps may outlive the runtime for a moment."""
    events.write_text("oom_kill 1\n")
    watcher = OomWatcher(cgroups=events.parents[2])
    watcher.close()
    watcher.close()

    watcher.expect(REF, "c0ffee")
    watcher.watch(REF, "c0ffee", lambda: 42)

    assert not watcher.was_killed(REF)
    watcher.forget(REF)
