"""What runs beside a main step."""

from collections.abc import Callable

import docker
import pytest

from tests.eventually import eventually
from tests.runtime.steps_at_work import PATIENCE_S, Recorder, Steps, inspect, is_there, start
from tork_celery.domain.definition import Mount, Probe
from tork_celery.domain.errors import StepFailed
from tork_celery.domain.model import StepRef
from tork_celery.runtime.docker import DockerRuntime
from tork_celery.runtime.protocol import Detached, SidecarRun, StepRun

pytestmark = pytest.mark.engine

Another = Callable[..., DockerRuntime]
SERVE = "echo serving; mkdir -p /www; echo hello > /www/x; exec httpd -f -p 80 -h /www"
READY = Probe(path="/x", port=80, timeout="30s")


@pytest.fixture
def steps(busybox: str) -> Steps:
    return Steps(busybox)


@pytest.fixture
def ref(steps: Steps) -> StepRef:
    return StepRef(task_id=steps.task_id(), delivery=1, step=0)


def with_sidecars(steps: Steps, script: str, *sidecars: SidecarRun, ref: StepRef) -> StepRun:
    return steps.step(script, ref=ref, name="main", sidecars=sidecars)


def networks(client: docker.APIClient, ref: StepRef) -> list[object]:
    found: list[object] = client.networks(filters={"label": f"tork.task={ref.task_id}"})
    return found


def finish(runtime: DockerRuntime, run: StepRun) -> None:
    """As a worker does after a step that was the last."""
    for each in (*run.sidecars, run):
        runtime.remove_step(each.ref)
    runtime.remove_delivery(run.ref.task_id, run.ref.delivery)


@pytest.mark.covers("Sidecar.name", "Task.sidecars")
def test_a_sidecar_is_reached_by_its_name_and_nothing_of_it_stays(
    runtime: DockerRuntime, steps: Steps, ref: StepRef, client: docker.APIClient
) -> None:
    sidecar = steps.sidecar("The Web", SERVE, beside=ref, probe=READY)
    run, recorder = with_sidecars(steps, "wget -q -O - http://the-web/x", sidecar, ref=ref), Recorder()

    ended = runtime.run(run, recorder, started=recorder.started)
    finish(runtime, run)

    assert (ended.code, recorder.printed(), recorder.starts) == (0, b"hello\n", 1)
    eventually(lambda: not runtime.leftovers())
    assert not is_there(client, sidecar.ref)
    assert networks(client, ref) == []


@pytest.mark.covers("Probe.path")
def test_sidecars_have_files_environment_and_mounts(
    runtime: DockerRuntime, steps: Steps, ref: StepRef
) -> None:
    mounts = (Mount(type="volume", target="/shared"),)
    script = "cat in > /shared/out; echo $A >> /shared/out; exec httpd -f -p 80 -h /shared"
    sidecar = steps.sidecar(
        "web", script, beside=ref, mounts=mounts, files={"in": "from a file\n"}, env={"A": "of mine"},
        probe=Probe(path="/out", port=80),
    )  # fmt: skip
    run, recorder = steps.step("cat /shared/out", ref=ref, mounts=mounts, sidecars=(sidecar,)), Recorder()

    runtime.run(run, recorder, started=recorder.started)
    finish(runtime, run)

    assert recorder.printed() == b"from a file\nof mine\n"


@pytest.mark.covers("Sidecar.probe", "Probe.port")
def test_the_main_step_waits_until_every_probe_passes(
    runtime: DockerRuntime, steps: Steps, ref: StepRef
) -> None:
    late = "mkdir /www; (sleep 0.7; echo late > /www/x) & exec httpd -f -p 80 -h /www"
    one = steps.sidecar("one", SERVE, beside=ref, number=1, probe=READY)
    two = steps.sidecar("two", late, beside=ref, number=2, probe=READY)
    three = steps.sidecar("three", "sleep 300", beside=ref, number=3)  # has no probe
    run = with_sidecars(steps, "wget -q -O - http://one/x http://two/x", one, two, three, ref=ref)
    recorder = Recorder()

    ended = runtime.run(run, recorder, started=recorder.started)
    finish(runtime, run)

    assert (ended.code, recorder.printed(), recorder.starts) == (0, b"hello\nlate\n", 1)


@pytest.mark.covers("Probe.timeout")
@pytest.mark.parametrize(
    ("script", "error"),
    [
        (
            "echo unwell; mkdir /www; exec httpd -f -p 80 -h /www",
            r'the sidecar "web" was not ready within 1s; .* /x on port 80: status 404; it printed: unwell$',
        ),
        ("seq 1 20; sleep 300", r"port 80: Connection refused; it printed: 11\n12\n[\d\n]*\n20$"),
        ("while :; do echo hm | nc -l -p 80; done", r"port 80: (no HTTP \(BadStatus|Connection refused)"),
        ("while :; do yes hm | nc -l -p 80; done", r"was not ready within 1s; its probe"),
        ("echo broken; exit 3", r'"web" ended with exit code 3; its probe, .*; it printed: broken$'),
        ("exit 0", r'the sidecar "web" ended with exit code 0; its probe, GET /x on port 80: [\w ]+$'),
    ],
)
def test_a_sidecar_that_does_not_pass_its_probe_fails_the_task(
    runtime: DockerRuntime, steps: Steps, ref: StepRef, script: str, error: str
) -> None:
    sidecar = steps.sidecar("web", script, beside=ref, probe=Probe(path="/x", port=80, timeout="1s"))
    run, recorder = with_sidecars(steps, "echo never", sidecar, ref=ref), Recorder()

    with pytest.raises(StepFailed, match=error):
        runtime.run(run, recorder, started=recorder.started)
    finish(runtime, run)

    assert (recorder.printed(), recorder.starts) == (b"", 1)
    eventually(lambda: not runtime.leftovers())


@pytest.mark.parametrize(
    ("what", "error"),
    [
        ({"image": "127.0.0.1:1/no/such:image"}, 'the sidecar "web": image ".*" could not be pulled'),
        ({"env": {"A": "x\0y"}}, 'the sidecar "web": the container engine refuses'),
    ],
    ids=["image", "env"],
)
def test_a_sidecar_that_cannot_be_made_fails_the_task_and_is_named(
    runtime: DockerRuntime, steps: Steps, ref: StepRef, what: dict[str, object], error: str
) -> None:
    run = with_sidecars(steps, "echo never", steps.sidecar("web", "true", beside=ref, **what), ref=ref)

    with pytest.raises(StepFailed, match=error):
        runtime.run(run, Recorder(), started=lambda: None)
    finish(runtime, run)

    eventually(lambda: not runtime.leftovers())


def test_a_step_that_is_stopped_while_a_probe_is_tried_never_starts(
    runtime: DockerRuntime, steps: Steps, ref: StepRef, client: docker.APIClient
) -> None:
    sidecar = steps.sidecar("web", "sleep 300", beside=ref, probe=READY)
    run, recorder = with_sidecars(steps, "echo never", sidecar, ref=ref), Recorder()
    future = start(runtime, run, recorder)
    eventually(lambda: recorder.starts)

    runtime.kill(ref)

    assert future.result(PATIENCE_S).code == 137
    assert recorder.printed() == b""
    runtime.remove_delivery(ref.task_id, ref.delivery)
    eventually(lambda: not runtime.leftovers())
    assert not is_there(client, sidecar.ref)


def test_sidecars_that_waited_for_a_step_which_never_started_are_made_anew(
    another: Another, steps: Steps, ref: StepRef, client: docker.APIClient
) -> None:
    unready = steps.sidecar("web", "sleep 300", beside=ref, probe=READY)
    recorder = Recorder()
    earlier, later = another(), another()
    future = start(earlier, with_sidecars(steps, "echo never", unready, ref=ref), recorder)
    eventually(lambda: recorder.starts)
    earlier.detach()
    with pytest.raises(Detached):
        future.result(PATIENCE_S)
    before = inspect(client, unready.ref)["Id"]

    sidecar = steps.sidecar("web", SERVE, beside=ref, probe=READY)
    run, recorder = with_sidecars(steps, "wget -q -O - http://web/x", sidecar, ref=ref), Recorder()
    ended = later.run(run, recorder, started=recorder.started)

    assert (ended.code, recorder.printed()) == (0, b"hello\n")
    assert inspect(client, sidecar.ref)["Id"] != before
    finish(later, run)
    eventually(lambda: not later.leftovers())


def test_sidecars_run_on_beside_a_step_that_is_left_and_go_with_it(
    another: Another, steps: Steps, ref: StepRef, client: docker.APIClient
) -> None:
    sidecar = steps.sidecar("web", SERVE, beside=ref, probe=READY)
    script = "echo ready; until [ -e /tork/workdir/go ]; do sleep 0.1; done; wget -q -O - http://web/x"
    run, recorder = with_sidecars(steps, script, sidecar, ref=ref), Recorder()
    earlier, later = another(), another()
    future = start(earlier, run, recorder)
    recorder.wait_for(b"ready")
    earlier.detach()
    with pytest.raises(Detached):
        future.result(PATIENCE_S)

    assert [(each.task_id, each.delivery) for each in later.leftovers()] == [(ref.task_id, 1)]
    (later._container_factory.exchange.path(ref) / "workdir" / "go").touch()
    recorder = Recorder()
    ended = later.follow(ref, recorder)

    assert ended is not None
    assert (ended.code, recorder.printed()) == (0, b"ready\nhello\n")
    finish(later, run)
    eventually(lambda: not later.leftovers())
    assert not is_there(client, sidecar.ref)
    assert networks(client, ref) == []


@pytest.mark.covers("Step.timeout")
def test_a_sidecar_that_has_a_timeout_is_ended_by_it(
    runtime: DockerRuntime, steps: Steps, ref: StepRef, client: docker.APIClient
) -> None:
    sidecar = steps.sidecar("web", SERVE, beside=ref, probe=READY, timeout="2s")
    run, recorder = with_sidecars(steps, "echo ready; sleep 300", sidecar, ref=ref), Recorder()
    future = start(runtime, run, recorder)
    recorder.wait_for(b"ready")

    eventually(lambda: inspect(client, sidecar.ref)["State"]["ExitCode"] == 137)

    assert not future.done()
    runtime.kill(ref)
    future.result(PATIENCE_S)
    finish(runtime, run)


def test_a_release_by_a_later_process_finds_sidecars_and_network(
    another: Another, steps: Steps, ref: StepRef, client: docker.APIClient
) -> None:
    sidecar = steps.sidecar("web", SERVE, beside=ref, probe=READY)
    another().run(with_sidecars(steps, "true", sidecar, ref=ref), Recorder(), started=lambda: None)
    later = another()

    later.remove_delivery(ref.task_id, ref.delivery)

    eventually(lambda: not later.leftovers())
    assert not is_there(client, sidecar.ref)
    assert networks(client, ref) == []
