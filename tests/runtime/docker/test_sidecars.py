from dataclasses import replace
from typing import Any

import docker
import pytest

from tests.eventually import eventually
from tests.runtime.docker.containers import RuntimeFactory, exists, inspect
from tests.runtime.steps import TIMEOUT_S, RecordingSink, StepFactory, run_step, start_step
from tork_celery.domain.definition import Mount, Probe
from tork_celery.domain.errors import StepFailed
from tork_celery.domain.masking import MaskedValues
from tork_celery.domain.model import StepRef
from tork_celery.runtime.docker import DockerRuntime
from tork_celery.runtime.protocol import Detached, SidecarRun, StepRun

SERVE = "echo serving; mkdir -p /www; echo hello > /www/x; exec httpd -f -p 80 -h /www"
READY = Probe(path="/x", port=80, timeout="30s")


@pytest.fixture
def ref(steps: StepFactory) -> StepRef:
    return StepRef(task_id=steps.task_id(), delivery=1, step=0)


def main_step(steps: StepFactory, script: str, *sidecars: SidecarRun, ref: StepRef) -> StepRun:
    return steps.step(script, ref=ref, name="main", sidecars=sidecars)


def networks(client: docker.APIClient, ref: StepRef) -> list[object]:
    networks: list[object] = client.networks(filters={"label": f"tork.task={ref.task_id}"})
    return networks


def remove(runtime: DockerRuntime, run: StepRun) -> None:
    """Remove the delivery as a worker does after its last step."""
    for each in (*run.sidecars, run):
        runtime.remove_step(each.ref)
    runtime.remove_delivery(run.ref.task_id, run.ref.delivery)


@pytest.mark.covers("Sidecar.name", "Task.sidecars")
def test_sidecar_is_reachable_by_its_hostname_and_removed_with_the_step(
    runtime: DockerRuntime, steps: StepFactory, ref: StepRef, client: docker.APIClient
) -> None:
    sidecar = steps.sidecar("The Web", SERVE, main=ref, probe=READY)
    run, sink = main_step(steps, "wget -q -O - http://the-web/x", sidecar, ref=ref), RecordingSink()

    step_exit = run_step(runtime, run, sink)
    remove(runtime, run)

    assert (step_exit.code, sink.stdout, sink.start_count) == (0, b"hello\n", 1)
    eventually(lambda: not runtime.leftovers())
    assert not exists(client, sidecar.ref)
    assert networks(client, ref) == []


@pytest.mark.covers("Probe.path")
def test_sidecar_has_files_environment_and_mounts(
    runtime: DockerRuntime, steps: StepFactory, ref: StepRef
) -> None:
    mounts = (Mount(type="volume", target="/shared"),)
    script = "cat in > /shared/out; echo $A >> /shared/out; exec httpd -f -p 80 -h /shared"
    sidecar = steps.sidecar(
        "web", script, main=ref, mounts=mounts, files={"in": "from a file\n"}, env={"A": "from env"},
        probe=Probe(path="/out", port=80),
    )  # fmt: skip
    run, sink = steps.step("cat /shared/out", ref=ref, mounts=mounts, sidecars=(sidecar,)), RecordingSink()

    run_step(runtime, run, sink)
    remove(runtime, run)

    assert sink.stdout == b"from a file\nfrom env\n"


@pytest.mark.covers("Sidecar.probe", "Probe.port")
def test_main_step_starts_after_all_probes_passed(
    runtime: DockerRuntime, steps: StepFactory, ref: StepRef
) -> None:
    late = "mkdir /www; (sleep 0.7; echo late > /www/x) & exec httpd -f -p 80 -h /www"
    one = steps.sidecar("one", SERVE, main=ref, number=1, probe=READY)
    two = steps.sidecar("two", late, main=ref, number=2, probe=READY)
    three = steps.sidecar("three", "sleep 300", main=ref, number=3)  # without a probe
    run = main_step(steps, "wget -q -O - http://one/x http://two/x", one, two, three, ref=ref)
    sink = RecordingSink()

    step_exit = run_step(runtime, run, sink)
    remove(runtime, run)

    assert (step_exit.code, sink.stdout, sink.start_count) == (0, b"hello\nlate\n", 1)


@pytest.mark.covers("Probe.timeout")
@pytest.mark.parametrize(
    ("script", "error"),
    [
        (
            "echo starting; mkdir /www; exec httpd -f -p 80 -h /www",
            r'the sidecar "web" was not ready within 1s; .* /x on port 80: status 404; it printed: starting$',
        ),
        ("seq 1 20; sleep 300", r"port 80: Connection refused; it printed: 11\n12\n[\d\n]*\n20$"),
        ("while :; do echo hm | nc -l -p 80; done", r"port 80: (no HTTP \(BadStatus|Connection refused)"),
        ("while :; do yes hm | nc -l -p 80; done", r"was not ready within 1s; its probe"),
        ("echo broken; exit 3", r'"web" ended with exit code 3; its probe, .*; it printed: broken$'),
        ("exit 0", r'the sidecar "web" ended with exit code 0; its probe, GET /x on port 80: [\w ]+$'),
    ],
)
def test_failed_probe_fails_the_step(
    runtime: DockerRuntime, steps: StepFactory, ref: StepRef, script: str, error: str
) -> None:
    sidecar = steps.sidecar("web", script, main=ref, probe=Probe(path="/x", port=80, timeout="1s"))
    run, sink = main_step(steps, "echo never", sidecar, ref=ref), RecordingSink()

    with pytest.raises(StepFailed, match=error):
        run_step(runtime, run, sink)
    remove(runtime, run)

    assert (sink.stdout, sink.start_count) == (b"", 1)
    eventually(lambda: not runtime.leftovers())


def test_output_of_a_failed_sidecar_is_masked_before_it_is_cut(
    runtime: DockerRuntime, steps: StepFactory, ref: StepRef
) -> None:
    """A mask would not find what a cut leaves of a secret."""
    script = "printf hunter2; head -c 8189 /dev/zero | tr '\\0' x; exit 1"
    sidecar = steps.sidecar("web", script, main=ref, probe=Probe(path="/x", port=80, timeout="30s"))
    masked = replace(sidecar, mask=MaskedValues(["hunter2"]).mask)
    run = main_step(steps, "echo never", masked, ref=ref)

    with pytest.raises(StepFailed, match="it printed: ") as raised:
        run_step(runtime, run)
    remove(runtime, run)

    assert "r2x" not in str(raised.value)
    assert "ED]x" in str(raised.value)


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"image": "127.0.0.1:1/no/such:image"}, 'the sidecar "web": image ".*" could not be pulled'),
        ({"workdir": "not/absolute"}, 'the sidecar "web": the container engine refuses'),
    ],
    ids=["image", "workdir"],
)
def test_error_of_a_sidecar_names_it(
    make_runtime: RuntimeFactory, steps: StepFactory, ref: StepRef, fields: dict[str, Any], error: str
) -> None:
    runtime = make_runtime(pull_timeout_s=0.5)
    run = main_step(steps, "echo never", steps.sidecar("web", "true", main=ref, **fields), ref=ref)

    with pytest.raises(StepFailed, match=error):
        run_step(runtime, run)
    remove(runtime, run)

    eventually(lambda: not runtime.leftovers())


def test_step_killed_during_a_probe_never_starts(
    runtime: DockerRuntime, steps: StepFactory, ref: StepRef, client: docker.APIClient
) -> None:
    sidecar = steps.sidecar("web", "sleep 300", main=ref, probe=READY)
    run, sink = main_step(steps, "echo never", sidecar, ref=ref), RecordingSink()
    future = start_step(runtime, run, sink)
    eventually(lambda: sink.start_count)

    runtime.kill(ref)

    assert future.result(TIMEOUT_S).code == 137
    assert sink.stdout == b""
    runtime.remove_delivery(ref.task_id, ref.delivery)
    eventually(lambda: not runtime.leftovers())
    assert not exists(client, sidecar.ref)


def test_sidecars_of_a_step_that_never_started_are_replaced(
    make_runtime: RuntimeFactory, steps: StepFactory, ref: StepRef, client: docker.APIClient
) -> None:
    unready = steps.sidecar("web", "sleep 300", main=ref, probe=READY)
    sink = RecordingSink()
    earlier, later = make_runtime(), make_runtime()
    future = start_step(earlier, main_step(steps, "echo never", unready, ref=ref), sink)
    eventually(lambda: sink.start_count)
    earlier.detach()
    with pytest.raises(Detached):
        future.result(TIMEOUT_S)
    before = inspect(client, unready.ref)["Id"]

    sidecar = steps.sidecar("web", SERVE, main=ref, probe=READY)
    run, sink = main_step(steps, "wget -q -O - http://web/x", sidecar, ref=ref), RecordingSink()
    step_exit = run_step(later, run, sink)

    assert (step_exit.code, sink.stdout) == (0, b"hello\n")
    assert inspect(client, sidecar.ref)["Id"] != before
    remove(later, run)
    eventually(lambda: not later.leftovers())


def test_sidecars_of_a_detached_step_run_until_its_delivery_is_removed(
    make_runtime: RuntimeFactory, steps: StepFactory, ref: StepRef, client: docker.APIClient
) -> None:
    sidecar = steps.sidecar("web", SERVE, main=ref, probe=READY)
    script = "echo ready; until [ -e /tork/workdir/go ]; do sleep 0.1; done; wget -q -O - http://web/x"
    run, sink = main_step(steps, script, sidecar, ref=ref), RecordingSink()
    earlier, later = make_runtime(), make_runtime()
    future = start_step(earlier, run, sink)
    sink.wait_for(b"ready")
    earlier.detach()
    with pytest.raises(Detached):
        future.result(TIMEOUT_S)

    assert [(each.task_id, each.delivery) for each in later.leftovers()] == [(ref.task_id, 1)]
    (later._exchange.path(ref) / "workdir" / "go").touch()
    sink = RecordingSink()
    step_exit = later.follow(ref, sink)

    assert step_exit is not None
    assert (step_exit.code, sink.stdout) == (0, b"ready\nhello\n")
    remove(later, run)
    eventually(lambda: not later.leftovers())
    assert not exists(client, sidecar.ref)
    assert networks(client, ref) == []


@pytest.mark.covers("Step.timeout")
def test_sidecar_is_killed_after_its_timeout(
    runtime: DockerRuntime, steps: StepFactory, ref: StepRef, client: docker.APIClient
) -> None:
    sidecar = steps.sidecar("web", SERVE, main=ref, probe=READY, timeout="2s")
    run, sink = main_step(steps, "echo ready; sleep 300", sidecar, ref=ref), RecordingSink()
    future = start_step(runtime, run, sink)
    sink.wait_for(b"ready")

    eventually(lambda: inspect(client, sidecar.ref)["State"]["ExitCode"] == 137)

    assert not future.done()
    runtime.kill(ref)
    future.result(TIMEOUT_S)
    remove(runtime, run)


def test_remove_delivery_by_a_later_process_removes_sidecars_and_network(
    make_runtime: RuntimeFactory, steps: StepFactory, ref: StepRef, client: docker.APIClient
) -> None:
    sidecar = steps.sidecar("web", SERVE, main=ref, probe=READY)
    run_step(make_runtime(), main_step(steps, "true", sidecar, ref=ref))
    later = make_runtime()

    later.remove_delivery(ref.task_id, ref.delivery)

    eventually(lambda: not later.leftovers())
    assert not exists(client, sidecar.ref)
    assert networks(client, ref) == []
