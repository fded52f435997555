import socket
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from tests.eventually import eventually
from tests.runtime.runtime_contract import RuntimeContract
from tests.runtime.steps_at_work import PATIENCE_S, Recorder, Steps, inspect, is_there, start
from tork_celery.domain.definition import Limits, Mount
from tork_celery.domain.errors import EngineUnavailable, StepFailed
from tork_celery.domain.model import StepRef
from tork_celery.runtime.docker import DockerRuntime
from tork_celery.runtime.docker.container_config import configuration
from tork_celery.runtime.docker.resource_names import ResourceNames
from tork_celery.runtime.protocol import Leftovers, Stream

pytestmark = pytest.mark.engine

Another = Callable[..., DockerRuntime]
NODE = "default@here"  # as in the fixture `another`


@pytest.fixture
def steps(busybox: str) -> Steps:
    return Steps(image=busybox)


@pytest.fixture
def elsewhere() -> str:
    return "/else/where"


class TestDockerRuntime(RuntimeContract):
    """The contract that both runtimes keep."""


def test_all_that_it_makes_says_whose_it_is(
    runtime: DockerRuntime, steps: Steps, client: docker.APIClient, cluster: str
) -> None:
    run = steps.step("true", mounts=(Mount(type="volume", target="/shared"),))
    runtime.run(run, Recorder(), started=lambda: None)

    delivery = {
        "tork.cluster": cluster,
        "tork.node": NODE,
        "tork.host": socket.gethostname(),
        "tork.job": "job-1",
        "tork.task": run.ref.task_id,
        "tork.delivery": "1",
    }
    labels = inspect(client, run.ref)["Config"]["Labels"]  # the image's own are among them
    assert {**labels, **delivery, "tork.step": "0"} == labels
    assert client.inspect_volume(f"tork-{run.ref.task_id}-1-0")["Labels"] == delivery


@pytest.mark.covers("Step.entrypoint", "Step.run")
def test_an_entry_point_gets_the_path_of_the_script(runtime: DockerRuntime, steps: Steps) -> None:
    recorder = Recorder()

    runtime.run(steps.step("echo $0", entrypoint=("sh", "-c")), recorder, started=recorder.started)
    runtime.run(steps.step("one\ntwo", entrypoint=("cat",)), recorder, started=recorder.started)

    assert recorder.printed() == b"/tork/entrypoint\none\ntwo"


def test_an_entry_point_without_a_script_gets_the_command(runtime: DockerRuntime, steps: Steps) -> None:
    recorder = Recorder()

    runtime.run(steps.step(entrypoint=("echo", "a"), cmd=("b", "c")), recorder, started=recorder.started)

    assert recorder.printed() == b"a b c\n"


def test_the_steps_of_a_delivery_share_its_volumes_and_nothing_stays(
    runtime: DockerRuntime, steps: Steps, client: docker.APIClient
) -> None:
    task_id, recorder = steps.task_id(), Recorder()
    mounts = (Mount(type="volume", target="/one"), Mount(type="volume", target="/two"))
    refs = [StepRef(task_id=task_id, delivery=1, step=number) for number in range(2)]

    for ref, script in zip(refs, ["echo 1 > /one/x; echo 2 > /two/x", "cat /one/x /two/x"], strict=True):
        runtime.run(steps.step(script, ref=ref, mounts=mounts), recorder, started=recorder.started)
        runtime.remove_step(ref)
    runtime.remove_delivery(task_id, 1)

    assert recorder.printed() == b"1\n2\n"
    eventually(lambda: not client.volumes(filters={"label": f"tork.task={task_id}"})["Volumes"])
    assert not any(is_there(client, ref) for ref in refs)


def test_a_release_also_removes_what_an_earlier_process_left(
    another: Another, steps: Steps, client: docker.APIClient
) -> None:
    run, recorder = (
        steps.step("echo ready; sleep 300", mounts=(Mount(type="volume", target="/x"),)),
        Recorder(),
    )
    earlier, later = another(), another()
    future = start(earlier, run, recorder)
    recorder.wait_for(b"ready")
    earlier.detach()
    assert future.exception(PATIENCE_S) is not None

    later.remove_delivery(run.ref.task_id, 1)

    eventually(lambda: not later.leftovers())
    assert not is_there(client, run.ref)


def test_deliveries_are_those_of_all_nodes_of_the_host(another: Another, steps: Steps) -> None:
    run = steps.step("true", mounts=(Mount(type="volume", target="/x"),))
    runtime, other = another(), another(node="other@here")
    runtime.run(run, Recorder(), started=lambda: None)
    leftovers = Leftovers(NODE, run.ref.task_id, 1)

    assert list(other.leftovers()) == list(runtime.leftovers()) == [leftovers]

    other.remove_delivery(run.ref.task_id, 1)

    eventually(lambda: not list(other.leftovers()))


def test_what_nodes_of_other_hosts_made_in_the_same_engine_is_theirs(
    another: Another, steps: Steps, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = steps.step("true")
    earlier = another()
    earlier.run(run, Recorder(), started=lambda: None)
    monkeypatch.setattr(socket, "gethostname", lambda: "elsewhere")
    earlier._exchange.remove_delivery(run.ref.task_id, 1)  # directories are not shared by hosts

    assert list(another(node="other@here").leftovers()) == []
    assert list(another().leftovers()) == [Leftovers(NODE, run.ref.task_id, 1)]


@pytest.mark.covers("Limits.memory")
def test_exceeding_the_memory_limit_kills_and_says_so(runtime: DockerRuntime, steps: Steps) -> None:
    script = "x=0123456789abcdef; while :; do x=$x$x; done"

    ended = runtime.run(
        steps.step(script, limits=Limits(memory="16m", cpus="0.5")), Recorder(), started=lambda: None
    )

    assert ended.code == 137
    assert ended.note is not None
    assert ended.note.endswith("exceeded its memory limit of 16m")  # the engine may not be sure


@pytest.mark.parametrize("limits", [Limits(memory="1k"), Limits(cpus="many"), Limits(cpus="5000")])
def test_limits_that_cannot_be_fail_the_task(runtime: DockerRuntime, steps: Steps, limits: Limits) -> None:
    with pytest.raises(StepFailed, match=r"CPU|memory"):
        runtime.run(steps.step("true", limits=limits), Recorder(), started=lambda: None)


@pytest.mark.covers("Task.gpus")
@pytest.mark.parametrize(
    ("gpus", "request_"),
    [
        ("all", {"Count": -1}),
        ("2", {"Count": 2}),
        ("count=2", {"Count": 2}),
        ("count=all", {"Count": -1}),
        ("device=0,GPU-1a", {"DeviceIDs": ["0", "GPU-1a"]}),
        ('"device=0,GPU-1a"', {"DeviceIDs": ["0", "GPU-1a"]}),
    ],
)
def test_gpus_are_asked_for_as_docker_run_does(
    steps: Steps, tmp_path: Path, gpus: str, request_: dict[str, object]
) -> None:
    body = configuration(
        steps.step("true", gpus=gpus),
        names=ResourceNames(cluster="c", node="n", host="h"),
        exchange=tmp_path,
        log_limit_bytes=1,
        private_workdir=False,
        bind_sources=(),
    )

    assert body["HostConfig"]["DeviceRequests"] == [{"Driver": "", "Capabilities": [["gpu"]], **request_}]


@pytest.mark.skipif(Path("/dev/nvidia0").exists(), reason="this machine has a GPU")
def test_a_machine_without_gpus_fails_the_task_and_says_so(runtime: DockerRuntime, steps: Steps) -> None:
    with pytest.raises(StepFailed, match="could not select device driver"):
        runtime.run(steps.step("true", gpus="all"), Recorder(), started=lambda: None)


@pytest.mark.parametrize(
    ("workdir", "env"), [("not/absolute", {}), ("/etc/passwd", {}), ("/", {"A": "x\0y"})]
)
def test_what_the_engine_refuses_fails_the_task_with_its_reason(
    runtime: DockerRuntime, steps: Steps, workdir: str, env: dict[str, str]
) -> None:
    with pytest.raises(StepFailed, match=r"the container engine refuses to run this: .*(not|needs|null)"):
        runtime.run(steps.step("true", workdir=workdir, env=env), Recorder(), started=lambda: None)


def test_files_can_go_to_a_directory_of_the_image_and_leave_its_rights_alone(
    runtime: DockerRuntime, steps: Steps
) -> None:
    run, recorder = steps.step("cat x; stat -c %a /tmp", workdir="/tmp", files={"x": "in tmp "}), Recorder()

    runtime.run(run, recorder, started=recorder.started)

    assert recorder.printed() == b"in tmp 1777\n"


@pytest.fixture
def changed(request: pytest.FixtureRequest, client: docker.APIClient, busybox: str) -> Iterator[str]:
    """An image with a setting of its own."""
    container = client.create_container(busybox, ["true"])["Id"]
    repository = f"tork-test/{uuid.uuid4().hex}"
    image = client.commit(container, repository=repository, changes=request.param)["Id"]
    client.remove_container(container)
    yield image
    client.remove_image(image, force=True)


@pytest.mark.parametrize("changed", ["WORKDIR /etc"], indirect=True)
@pytest.mark.parametrize(
    ("given", "expected"),
    [({}, "/etc"), ({"files": {"a": "b"}}, "/tork/workdir"), ({"workdir": "/tmp"}, "/tmp")],
    ids=["nothing", "files", "workdir"],
)
def test_a_step_without_files_starts_where_its_image_says(
    runtime: DockerRuntime, steps: Steps, changed: str, given: dict[str, Any], expected: str
) -> None:
    recorder = Recorder()

    runtime.run(steps.step("pwd", image=changed, **given), recorder, started=recorder.started)

    assert recorder.printed().decode() == f"{expected}\n"


@pytest.mark.parametrize("changed", ["USER nobody"], indirect=True)
@pytest.mark.parametrize("private", [False, True], ids=["worker is root", "worker is not"])
def test_any_user_can_write_where_the_step_starts(
    runtime: DockerRuntime, steps: Steps, changed: str, *, private: bool
) -> None:
    runtime._container_factory.private_workdir = private
    script = "id -un; cat d/a; echo b > b; echo c >> d/a; echo d > d/d; echo done > $TORK_OUTPUT"

    recorder = Recorder()
    run = steps.step(script, image=changed, files={"d/a": "a\n"})
    ended = runtime.run(run, recorder, started=recorder.started)

    assert recorder.printed(Stream.STDERR) == b""
    assert (ended.code, ended.output) == (0, b"done\n")
    assert recorder.printed() == b"nobody\na\n"


@pytest.mark.covers("Step.image")
def test_an_image_that_does_not_exist_fails_the_task(runtime: DockerRuntime, steps: Steps) -> None:
    run, recorder = steps.step("true", image="127.0.0.1:1/no/such:image"), Recorder()

    with pytest.raises(StepFailed, match=r'image "127.0.0.1:1/no/such:image" could not be pulled: .*refused'):
        runtime.run(run, recorder, started=recorder.started)

    assert "pulling image" in recorder.notes
    assert recorder.starts == 0


def test_a_task_without_an_image_fails(runtime: DockerRuntime, steps: Steps) -> None:
    with pytest.raises(StepFailed, match="needs an image"):
        runtime.run(steps.step("true", image=None), Recorder(), started=lambda: None)


def test_an_engine_that_does_not_answer_is_not_the_tasks_fault(
    another: Another, steps: Steps, tmp_path: Path
) -> None:
    runtime = another(url=f"unix://{tmp_path}/no.sock")

    with pytest.raises(EngineUnavailable, match="No such file"):
        runtime.run(steps.step("true"), Recorder(), started=lambda: None)
    with pytest.raises(EngineUnavailable, match=r"no container engine answers at unix://.*start it"):
        runtime.check()


def test_an_engine_that_died_is_not_the_tasks_fault(another: Another, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(f"{tmp_path}/dead.sock")

    with pytest.raises(EngineUnavailable, match="Connection refused"):
        another(url=f"unix://{tmp_path}/dead.sock").check()
