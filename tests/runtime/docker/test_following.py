"""Steps that outlive the process that started them: left, followed, replaced."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import docker
import pytest

from tests.eventually import eventually
from tests.runtime.steps_at_work import PATIENCE_S, Recorder, Steps, inspect, is_there, name_of, start
from tork_celery.domain.model import StepRef
from tork_celery.runtime.docker import DockerRuntime
from tork_celery.runtime.protocol import AlreadyRun, Detached, Stream

pytestmark = pytest.mark.engine

Another = Callable[..., DockerRuntime]


@pytest.fixture
def runtime(another: Another) -> DockerRuntime:
    return another()


@pytest.fixture
def steps(busybox: str) -> Steps:
    return Steps(image=busybox)


def test_a_step_that_was_left_is_followed_from_its_first_line(another: Another, steps: Steps) -> None:
    run = steps.step(
        "echo first; echo err >&2; while [ ! -e /tork/workdir/go ]; do sleep 0.05; done; echo last; exit 6"
    )
    earlier, before, after = another(), Recorder(), Recorder()
    future = start(earlier, run, before)
    before.wait_for(b"first")
    earlier.detach()
    with pytest.raises(Detached):
        future.result(PATIENCE_S)
    earlier.close()

    later = another()
    following = threading.Thread(target=lambda: outcome.append(later.follow(run.ref, after)))
    outcome: list[object] = []
    following.start()
    after.wait_for(b"first")
    (later._exchange.path(run.ref) / "workdir" / "go").touch()
    following.join(PATIENCE_S)

    assert [(ended.code, ended.unseen) for ended in outcome] == [(6, False)]  # type: ignore[attr-defined]
    assert after.printed() == b"first\nlast\n"
    assert after.printed(Stream.STDERR) == b"err\n"


def test_a_step_that_ended_meanwhile_is_followed_too(
    another: Another, steps: Steps, client: docker.APIClient
) -> None:
    run = steps.step("seq 1 5000; echo result > $TORK_OUTPUT; sleep 0.5; exit 7")
    earlier, before, after = another(), Recorder(), Recorder()
    future = start(earlier, run, before)
    before.wait_for(b"\n5000\n")
    earlier.detach()
    with pytest.raises(Detached):
        future.result(PATIENCE_S)
    eventually(lambda: not inspect(client, run.ref)["State"]["Running"])

    ended = another().follow(run.ref, after)

    assert ended is not None
    assert (ended.code, ended.output, ended.unseen) == (7, b"result\n", True)
    assert after.printed() == b"".join(b"%d\n" % number for number in range(1, 5001))


def test_a_step_that_is_followed_can_be_stopped_and_left(another: Another, steps: Steps) -> None:
    run, recorder = steps.step("trap 'exit 9' TERM; echo ready; while :; do sleep 0.05; done"), Recorder()
    first, second, third = another(), another(), another()
    start(first, run, recorder)
    recorder.wait_for(b"ready")
    first.detach()

    with ThreadPoolExecutor() as threads:
        seen = Recorder()
        followed = threads.submit(second.follow, run.ref, seen)
        seen.wait_for(b"ready")
        second.detach()
        with pytest.raises(Detached):
            followed.result(PATIENCE_S)

        seen = Recorder()
        followed = threads.submit(third.follow, run.ref, seen)
        seen.wait_for(b"ready")
        third.kill(run.ref, grace_s=PATIENCE_S * 10)
        ended = followed.result(PATIENCE_S)

    assert ended is not None
    assert ended.code == 9


def test_a_step_that_no_thread_here_has_can_be_stopped(
    another: Another, steps: Steps, client: docker.APIClient
) -> None:
    run, recorder = steps.step("echo ready; sleep 300"), Recorder()
    earlier = another()
    start(earlier, run, recorder)
    recorder.wait_for(b"ready")
    earlier.detach()

    another().kill(run.ref)

    eventually(lambda: not inspect(client, run.ref)["State"]["Running"])


def test_a_step_that_was_started_before_is_not_run_again(another: Another, steps: Steps) -> None:
    run, recorder = steps.step("echo result > $TORK_OUTPUT; echo ready; sleep 300"), Recorder()
    earlier, later = another(), another()
    start(earlier, run, recorder)
    recorder.wait_for(b"ready")
    earlier.detach()

    with pytest.raises(AlreadyRun):
        later.run(run, recorder, started=recorder.started)

    later.kill(run.ref)
    ended = later.follow(run.ref, recorder)
    assert ended is not None
    assert (ended.code, ended.output) == (137, b"result\n")


def never_started(client: docker.APIClient, runtime: DockerRuntime, ref: StepRef, image: str) -> None:
    """As a process leaves it that dies between create and start."""
    labels = {"tork.cluster": runtime._names.cluster, "tork.task": ref.task_id, "tork.delivery": "1"}
    client.create_container(image, ["echo", "old"], name=name_of(ref), labels=labels)


def test_nothing_is_left_of_a_step_that_never_started(
    runtime: DockerRuntime, steps: Steps, client: docker.APIClient, busybox: str
) -> None:
    ref, recorder = steps.step().ref, Recorder()
    never_started(client, runtime, ref, busybox)

    assert runtime.follow(ref, recorder) is None

    assert not is_there(client, ref)
    assert recorder.printed() == b""


def test_a_run_replaces_what_never_started(
    runtime: DockerRuntime, steps: Steps, client: docker.APIClient, busybox: str
) -> None:
    run, recorder = steps.step("echo new"), Recorder()
    never_started(client, runtime, run.ref, busybox)

    assert runtime.run(run, recorder, started=recorder.started).code == 0
    assert recorder.printed() == b"new\n"
