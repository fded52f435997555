import socket
import stat
from pathlib import Path
from typing import Any

import docker
import pytest

from tests.eventually import eventually
from tests.runtime.docker.containers import NODE, RuntimeFactory, exists, inspect
from tests.runtime.runtime_contract import RuntimeContract
from tests.runtime.steps import TIMEOUT_S, RecordingSink, StepFactory, run_step, start_step
from tork_celery.domain.definition import Limits, Mount
from tork_celery.domain.errors import EngineFailed, EngineUnavailable, StepFailed
from tork_celery.domain.model import StepRef
from tork_celery.runtime.docker import DockerRuntime
from tork_celery.runtime.protocol import Leftovers, Runtime


@pytest.fixture
def absolute_workdir() -> str:
    return "/else/where"


@pytest.fixture(params=[False, True], ids=["own networks", "sandboxes"])
def with_sandboxes(request: pytest.FixtureRequest) -> bool:
    """Whether steps join the networks of sandboxes."""
    return bool(request.param)


class TestDockerRuntime(RuntimeContract):
    """Test DockerRuntime against the contract of all runtimes."""

    @pytest.fixture
    def runtime(self, make_runtime: RuntimeFactory, with_sandboxes: bool) -> DockerRuntime:
        return make_runtime.with_sandboxes() if with_sandboxes else make_runtime()


class TestDockerRuntimeWithFilesInContainers(RuntimeContract):
    """Test DockerRuntime as a worker that is not root uses it."""

    @pytest.fixture
    def runtime(self, make_runtime: RuntimeFactory, with_sandboxes: bool) -> DockerRuntime:
        if with_sandboxes:
            return make_runtime.with_sandboxes(files_in_container=True)
        return make_runtime(files_in_container=True)

    def test_work_directory_is_not_accessible_to_other_users(
        self, runtime: Runtime, steps: StepFactory, sink: RecordingSink, tmp_path: Path
    ) -> None:
        run_step(runtime, steps.step("true", files={"a": "b"}), sink)

        work_dir = tmp_path / "work"
        assert not work_dir.exists() or stat.S_IMODE(work_dir.stat().st_mode) == 0o700

    def test_ended_step_uses_little_space_once_that_is_freed(
        self, runtime: Runtime, steps: StepFactory, sink: RecordingSink
    ) -> None:
        """The disk of the engine holds all files, and frees them with the container."""
        run = steps.step("dd if=/dev/zero of=$TORK_OUTPUT bs=1000000 count=3 2>/dev/null")

        run_step(runtime, run, sink)

        [disk] = runtime.disks()
        assert disk.usage()[run.ref.task_id, run.ref.delivery] > 3_000_000
        assert runtime.used_bytes(run.ref.task_id, run.ref.delivery) <= 5 * 4096  # the files of its network


def test_containers_and_volumes_are_labelled_with_their_owner(
    runtime: DockerRuntime, steps: StepFactory, client: docker.APIClient, cluster: str
) -> None:
    run = steps.step("true", mounts=(Mount(type="volume", target="/shared"),))
    run_step(runtime, run)

    delivery = {
        "tork.cluster": cluster,
        "tork.node": NODE,
        "tork.host": socket.gethostname(),
        "tork.job": "job-1",
        "tork.task": run.ref.task_id,
        "tork.delivery": "1",
    }
    labels = inspect(client, run.ref)["Config"]["Labels"]  # including those of the image
    created = {**delivery, "tork.step": "0"}
    assert {**labels, **created} == labels
    assert client.inspect_volume(f"tork-{run.ref.task_id}-1-0")["Labels"] == created


@pytest.mark.covers("Step.entrypoint", "Step.run")
def test_entrypoint_receives_the_path_of_the_script(runtime: DockerRuntime, steps: StepFactory) -> None:
    sink = RecordingSink()

    run_step(runtime, steps.step("echo $0", entrypoint=("sh", "-c")), sink)
    run_step(runtime, steps.step("one\ntwo", entrypoint=("cat",)), sink)

    assert sink.stdout == b"/tork/entrypoint\none\ntwo"


def test_entrypoint_without_script_receives_the_command(runtime: DockerRuntime, steps: StepFactory) -> None:
    sink = RecordingSink()

    run_step(runtime, steps.step(entrypoint=("echo", "a"), cmd=("b", "c")), sink)

    assert sink.stdout == b"a b c\n"


def test_steps_of_a_delivery_share_volumes_which_are_removed_with_it(
    runtime: DockerRuntime, steps: StepFactory, client: docker.APIClient
) -> None:
    task_id, sink = steps.task_id(), RecordingSink()
    mounts = (Mount(type="volume", target="/one"), Mount(type="volume", target="/two"))
    refs = [StepRef(task_id=task_id, delivery=1, step=number) for number in range(2)]

    for ref, script in zip(refs, ["echo 1 > /one/x; echo 2 > /two/x", "cat /one/x /two/x"], strict=True):
        run_step(runtime, steps.step(script, ref=ref, mounts=mounts), sink)
        runtime.remove_step(ref)
    runtime.remove_delivery(task_id, 1)

    assert sink.stdout == b"1\n2\n"
    eventually(lambda: not client.volumes(filters={"label": f"tork.task={task_id}"})["Volumes"])
    assert not any(exists(client, ref) for ref in refs)


def test_remove_delivery_removes_what_an_earlier_process_created(
    make_runtime: RuntimeFactory, steps: StepFactory, client: docker.APIClient
) -> None:
    run = steps.step("echo ready; sleep 300", mounts=(Mount(type="volume", target="/x"),))
    sink = RecordingSink()
    earlier, later = make_runtime(), make_runtime()
    future = start_step(earlier, run, sink)
    sink.wait_for(b"ready")
    earlier.detach()
    assert future.exception(TIMEOUT_S) is not None

    later.remove_delivery(run.ref.task_id, 1)

    eventually(lambda: not later.leftovers())
    assert not exists(client, run.ref)


def test_leftovers_include_other_nodes_of_the_host(make_runtime: RuntimeFactory, steps: StepFactory) -> None:
    run = steps.step("true", mounts=(Mount(type="volume", target="/x"),))
    runtime, other = make_runtime(), make_runtime(node="other@here")
    run_step(runtime, run)
    leftovers = Leftovers(NODE, run.ref.task_id, 1)

    assert list(other.leftovers()) == list(runtime.leftovers()) == [leftovers]

    other.remove_delivery(run.ref.task_id, 1)

    eventually(lambda: not list(other.leftovers()))


def test_leftovers_exclude_other_hosts_that_use_the_same_engine(
    make_runtime: RuntimeFactory, steps: StepFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = steps.step("true")
    earlier = make_runtime()
    run_step(earlier, run)
    monkeypatch.setattr(socket, "gethostname", lambda: "elsewhere")
    earlier._exchange.remove_delivery(run.ref.task_id, 1)  # hosts do not share directories

    assert list(make_runtime(node="other@here").leftovers()) == []
    assert list(make_runtime().leftovers()) == [Leftovers(NODE, run.ref.task_id, 1)]


@pytest.mark.parametrize("limits", [Limits(memory="1k"), Limits(cpus="many"), Limits(cpus="5000")])
def test_invalid_limits_fail_the_step(runtime: DockerRuntime, steps: StepFactory, limits: Limits) -> None:
    with pytest.raises(StepFailed, match=r"CPU|memory"):
        run_step(runtime, steps.step("true", limits=limits))


@pytest.mark.skipif(Path("/dev/nvidia0").exists(), reason="this host has a GPU")
def test_gpus_on_a_host_without_gpus_fail_the_step(runtime: DockerRuntime, steps: StepFactory) -> None:
    with pytest.raises(EngineFailed, match="could not select device driver"):
        run_step(runtime, steps.step("true", gpus="all"))


def test_rejection_by_the_engine_fails_the_step_with_its_reason(
    runtime: DockerRuntime, steps: StepFactory
) -> None:
    with pytest.raises(StepFailed, match=r"the container engine refuses to run this: .*needs to be an abs"):
        run_step(runtime, steps.step("true", workdir="not/absolute"))


def test_files_in_a_directory_of_the_image_keep_its_permissions(
    runtime: DockerRuntime, steps: StepFactory
) -> None:
    run, sink = steps.step("cat x; stat -c %a /tmp", workdir="/tmp", files={"x": "in tmp "}), RecordingSink()

    run_step(runtime, run, sink)

    assert sink.stdout == b"in tmp 1777\n"


@pytest.mark.parametrize("derived_image", ["WORKDIR /etc"], indirect=True)
@pytest.mark.parametrize(
    ("fields", "expected"),
    [({}, "/etc"), ({"files": {"a": "b"}}, "/tork/workdir"), ({"workdir": "/tmp"}, "/tmp")],
    ids=["neither", "files", "workdir"],
)
def test_working_directory_comes_from_workdir_files_or_image(
    runtime: DockerRuntime, steps: StepFactory, derived_image: str, fields: dict[str, Any], expected: str
) -> None:
    sink = RecordingSink()

    run_step(runtime, steps.step("pwd", image=derived_image, **fields), sink)

    assert sink.stdout.decode() == f"{expected}\n"


@pytest.mark.covers("Step.image")
def test_image_that_cannot_be_pulled_fails_the_step(make_runtime: RuntimeFactory, steps: StepFactory) -> None:
    runtime = make_runtime(pull_timeout_s=0.5)
    run, sink = steps.step("true", image="127.0.0.1:1/no/such:image"), RecordingSink()

    with pytest.raises(StepFailed, match=r'image "127.0.0.1:1/no/such:image" could not be pulled .*refused'):
        run_step(runtime, run, sink)

    assert "pulling image" in sink.notes
    assert "could not be pulled: " in sink.notes
    assert sink.start_count == 0


def test_missing_image_name_fails_the_step(runtime: DockerRuntime, steps: StepFactory) -> None:
    with pytest.raises(StepFailed, match="needs an image"):
        run_step(runtime, steps.step("true", image=None))


def test_missing_engine_socket_raises_engine_unavailable(
    make_runtime: RuntimeFactory, steps: StepFactory, tmp_path: Path
) -> None:
    runtime = make_runtime(url=f"unix://{tmp_path}/no.sock")

    with pytest.raises(EngineUnavailable, match="No such file"):
        run_step(runtime, steps.step("true"))
    with pytest.raises(EngineUnavailable, match=r"no container engine answers at unix://.*start it"):
        runtime.check()


def test_dead_engine_socket_raises_engine_unavailable(make_runtime: RuntimeFactory, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(f"{tmp_path}/dead.sock")

    with pytest.raises(EngineUnavailable, match="Connection refused"):
        make_runtime(url=f"unix://{tmp_path}/dead.sock").check()
