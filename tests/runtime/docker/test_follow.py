"""Steps that outlive the process that started them."""

import docker
import pytest

from tests.eventually import eventually
from tests.runtime.docker.containers import RuntimeFactory, container_name, exists, inspect
from tests.runtime.steps import TIMEOUT_S, RecordingSink, StepFactory, in_thread, run_step, start_step
from tork_celery.domain.model import StepRef
from tork_celery.runtime.docker import DockerRuntime
from tork_celery.runtime.protocol import AlreadyStarted, Detached


def test_detached_step_is_followed_from_its_first_line(
    make_runtime: RuntimeFactory, steps: StepFactory
) -> None:
    run = steps.step(
        "echo first; echo err >&2; while [ ! -e /tork/workdir/go ]; do sleep 0.05; done; echo last; exit 6"
    )
    earlier, before, after = make_runtime(), RecordingSink(), RecordingSink()
    future = start_step(earlier, run, before)
    before.wait_for(b"first")
    earlier.detach()
    with pytest.raises(Detached):
        future.result(TIMEOUT_S)
    earlier.close()

    later = make_runtime()
    following = in_thread(lambda: later.follow(run.ref, after))
    after.wait_for(b"first")
    (later._exchange.path(run.ref) / "workdir" / "go").touch()
    step_exit = following.result(TIMEOUT_S)

    assert step_exit is not None
    assert (step_exit.code, step_exit.ended_before_follow) == (6, False)
    assert after.stdout == b"first\nlast\n"
    assert after.stderr == b"err\n"


def test_step_that_ended_while_detached_is_followed(
    make_runtime: RuntimeFactory, steps: StepFactory, client: docker.APIClient
) -> None:
    run = steps.step("seq 1 5000; echo result > $TORK_OUTPUT; sleep 0.5; exit 7")
    earlier, before, after = make_runtime(), RecordingSink(), RecordingSink()
    future = start_step(earlier, run, before)
    before.wait_for(b"\n5000\n")
    earlier.detach()
    with pytest.raises(Detached):
        future.result(TIMEOUT_S)
    eventually(lambda: not inspect(client, run.ref)["State"]["Running"])

    step_exit = make_runtime().follow(run.ref, after)

    assert step_exit is not None
    assert (step_exit.code, step_exit.output, step_exit.ended_before_follow) == (7, b"result\n", True)
    assert after.stdout == b"".join(b"%d\n" % number for number in range(1, 5001))


@pytest.mark.parametrize(
    "character", ["\N{LATIN SMALL LETTER E WITH ACUTE}", "\N{SNOWMAN}", "\N{GRINNING FACE}"]
)
def test_followed_output_has_each_character_of_a_long_line_once(
    make_runtime: RuntimeFactory, steps: StepFactory, character: str
) -> None:
    """The engine cuts long lines at 16 KiB, and loses the characters that it cuts."""
    program = f'BEGIN {{ s = "a"; for (i = 0; i < 16384; i++) s = s "{character}"; print s; print "next" }}'
    run = steps.step(f"awk '{program}'; until [ -e /tork/workdir/go ]; do sleep 0.05; done")
    earlier, before, after = make_runtime(), RecordingSink(), RecordingSink()
    future = start_step(earlier, run, before)
    before.wait_for(b"\nnext\n")
    earlier.detach()
    with pytest.raises(Detached):
        future.result(TIMEOUT_S)
    (earlier._exchange.path(run.ref) / "workdir" / "go").touch()

    make_runtime().follow(run.ref, after)

    printed = f"a{character * 16384}\nnext\n"
    read = after.stdout.decode()
    assert read.replace("\ufffd", character) == printed
    assert 0 < read.count("\ufffd") <= len(printed.encode()) // (16 * 1024)


def test_followed_step_can_be_detached_and_killed(make_runtime: RuntimeFactory, steps: StepFactory) -> None:
    run, sink = steps.step("trap 'exit 9' TERM; echo ready; while :; do sleep 0.05; done"), RecordingSink()
    first, second, third = make_runtime(), make_runtime(), make_runtime()
    start_step(first, run, sink)
    sink.wait_for(b"ready")
    first.detach()

    followed_sink = RecordingSink()
    following = in_thread(lambda: second.follow(run.ref, followed_sink))
    followed_sink.wait_for(b"ready")
    second.detach()
    with pytest.raises(Detached):
        following.result(TIMEOUT_S)

    killed_sink = RecordingSink()
    following = in_thread(lambda: third.follow(run.ref, killed_sink))
    killed_sink.wait_for(b"ready")
    third.kill(run.ref, grace_s=TIMEOUT_S * 10)
    step_exit = following.result(TIMEOUT_S)

    assert step_exit is not None
    assert step_exit.code == 9


def test_step_that_no_thread_follows_can_be_killed(
    make_runtime: RuntimeFactory, steps: StepFactory, client: docker.APIClient
) -> None:
    run, sink = steps.step("echo ready; sleep 300"), RecordingSink()
    earlier = make_runtime()
    start_step(earlier, run, sink)
    sink.wait_for(b"ready")
    earlier.detach()

    make_runtime().kill(run.ref)

    eventually(lambda: not inspect(client, run.ref)["State"]["Running"])


def test_run_rejects_a_step_that_was_started_before(make_runtime: RuntimeFactory, steps: StepFactory) -> None:
    run, sink = steps.step("echo result > $TORK_OUTPUT; echo ready; sleep 300"), RecordingSink()
    earlier, later = make_runtime(), make_runtime()
    start_step(earlier, run, sink)
    sink.wait_for(b"ready")
    earlier.detach()

    with pytest.raises(AlreadyStarted):
        run_step(later, run, sink)

    later.kill(run.ref)
    step_exit = later.follow(run.ref, sink)
    assert step_exit is not None
    assert (step_exit.code, step_exit.output) == (137, b"result\n")


def create_container(client: docker.APIClient, runtime: DockerRuntime, ref: StepRef, image: str) -> None:
    """Create a container as a process that dies before its start."""
    labels = {"tork.cluster": runtime._names.cluster, "tork.task": ref.task_id, "tork.delivery": "1"}
    client.create_container(image, ["echo", "old"], name=container_name(ref), labels=labels)


def test_follow_removes_a_step_that_never_started(
    runtime: DockerRuntime, steps: StepFactory, client: docker.APIClient, busybox: str
) -> None:
    ref, sink = steps.step().ref, RecordingSink()
    create_container(client, runtime, ref, busybox)

    assert runtime.follow(ref, sink) is None

    assert not exists(client, ref)
    assert sink.stdout == b""


def test_run_replaces_a_container_that_never_started(
    runtime: DockerRuntime, steps: StepFactory, client: docker.APIClient, busybox: str
) -> None:
    run, sink = steps.step("echo new"), RecordingSink()
    create_container(client, runtime, run.ref, busybox)

    assert run_step(runtime, run, sink).code == 0
    assert sink.stdout == b"new\n"
