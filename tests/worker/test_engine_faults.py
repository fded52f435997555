"""Faults of a real engine, of its registries and of prune jobs, as a task of a worker sees them."""

import itertools
import re
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

import docker
import pytest

from tests.domain import samples
from tests.domain.samples import task_definition
from tests.eventually import eventually
from tests.runtime.docker.conftest import client, cluster, make_runtime
from tests.runtime.docker.containers import BUSYBOX, RuntimeFactory
from tests.runtime.docker.engine_proxy import EngineProxy, engine_proxy
from tests.runtime.docker.fake_registry import FakeRegistry, serving
from tests.runtime.steps import in_thread
from tests.store.stores import FlakyDatabase, change, store_task, task_now, text_of
from tests.worker.fakes import MakeWorker
from tork_celery.domain.definition import Mount, Probe, Sidecar, StepDefinition, TaskDefinition
from tork_celery.domain.model import Task
from tork_celery.domain.states import Outcome, TaskState
from tork_celery.runtime.docker import DockerRuntime, calls_in_progress, engine_api
from tork_celery.worker.worker import ChainAction, Worker

__all__ = ["client", "cluster", "make_runtime"]

pytestmark = pytest.mark.engine

WAIT_S = 40.0


@pytest.fixture(autouse=True)
def unique_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give tasks ids that no other process uses as names of containers."""
    monkeypatch.setattr(samples, "_numbers", itertools.count(uuid.uuid4().int >> 8))


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[EngineProxy]:
    with engine_proxy(tmp_path / "engine.sock") as proxy:
        yield proxy


@pytest.fixture
def runtime(make_runtime: RuntimeFactory, proxy: EngineProxy) -> Iterator[DockerRuntime]:
    """A runtime that reaches the engine through the proxy."""
    runtime = make_runtime(url=proxy.url)
    yield runtime
    proxy.heal()
    runtime.close()


@pytest.fixture
def worker(make_worker: MakeWorker, runtime: DockerRuntime) -> Worker:
    return make_worker(runtime)


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with serving() as registry:
        yield registry


@pytest.fixture
def pullable(registry: FakeRegistry, client: docker.APIClient) -> Iterator[str]:
    """An image that only the registry has."""
    registry.store(b"".join(client.get_image(BUSYBOX)))
    name = f"{registry.address}/tork/{uuid.uuid4().hex}"
    yield f"{name}:1"
    for image in client.images(name):
        client.remove_image(image["RepoTags"][0], force=True)


@pytest.fixture
def paused_registry(registry: FakeRegistry) -> FakeRegistry:
    """The registry, which does not answer before it is resumed."""
    registry.pause()
    return registry


def definition(script: str = "true", **values: Any) -> TaskDefinition:
    return replace(task_definition(), **({"image": BUSYBOX, "run": script, "cmd": ()} | values))


def run(worker: Worker, database: FlakyDatabase, task: Task) -> Task:
    """Run the steps of a task to their end, as its canvas does, and return the task."""
    while worker.run(task.ref) is ChainAction.NEXT:
        task = task_now(database, task.id)
        if task.outcome is not None:
            break
    return task_now(database, task.id)


def start(worker: Worker, database: FlakyDatabase, task: Task) -> Future[Task]:
    return in_thread(lambda: run(worker, database, task))


def of_task(task: Task) -> dict[str, list[str]]:
    return {"label": [f"tork.task={task.id}"]}


def prune(kind: str, client: docker.APIClient, task: Task) -> list[str]:
    """Remove what no running container uses, as a prune job does. Return the names of what it removed."""
    deleted: dict[str, list[str] | None] = getattr(client, f"prune_{kind}")(filters=of_task(task))
    return deleted[f"{kind.capitalize()}Deleted"] or []


def left_in_engine(client: docker.APIClient, task: Task) -> list[Any]:
    return [
        *client.containers(all=True, filters=of_task(task)),
        *(client.volumes(filters=of_task(task))["Volumes"] or []),
        *client.networks(filters=of_task(task)),
    ]


@pytest.fixture
def image_with_user(request: pytest.FixtureRequest, client: docker.APIClient) -> Iterator[str]:
    """Busybox with the user that is the parameter."""
    container = client.create_container(BUSYBOX, ["true"])["Id"]
    name = f"tork-test/{uuid.uuid4().hex}"
    image = client.commit(container, repository=name, changes=f"USER {request.param}")["Id"]
    client.remove_container(container)
    yield image
    client.remove_image(image, force=True)


def assert_fails_soon(worker: Worker, database: FlakyDatabase, task: Task, words: str) -> None:
    started_at = time.monotonic()

    failed = run(worker, database, task)

    assert time.monotonic() - started_at < 15
    assert failed.outcome is Outcome.FAILED
    assert re.search(words, failed.error or "")
    assert re.search(f"{words.rstrip('$')}; trying again\n", text_of(database, task.id))


@pytest.mark.parametrize(
    ("image_with_user", "words"),
    [
        ("nosuch", "unable to find user nosuch: no matching entries in passwd file"),
        ("99999999999", "uids and gids must be in range 0-2147483647"),
    ],
    indirect=["image_with_user"],
)
def test_user_that_does_not_exist_fails_the_task(
    worker: Worker, database: FlakyDatabase, image_with_user: str, words: str
) -> None:
    task = store_task(database, definition(image=image_with_user))

    assert_fails_soon(worker, database, task, words)


@pytest.mark.parametrize("image_with_user", ["nosuch"], indirect=True)
@pytest.mark.parametrize("place", ["pre", "sidecars"])
def test_pre_step_or_sidecar_that_can_never_run_fails_the_task(
    worker: Worker, database: FlakyDatabase, client: docker.APIClient, image_with_user: str, place: str
) -> None:
    part = (
        StepDefinition(image=image_with_user, run="true")
        if place == "pre"
        else Sidecar(name="s", image=image_with_user, run="true")
    )
    parts: dict[str, Any] = {place: (part,)}
    task = store_task(database, definition(**parts))

    assert_fails_soon(
        worker, database, task, "unable to find user nosuch: no matching entries in passwd file"
    )
    eventually(lambda: not left_in_engine(client, task))


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("/proc", "cannot be mounted because it is not of type proc"),
        ("/" + "a" * 300, "file name too long$"),
        ("/etc/resolv.conf", "is not directory"),
        ("/bin/busybox", "is not directory"),
    ],
)
def test_volume_that_cannot_be_mounted_fails_the_task(
    worker: Worker,
    database: FlakyDatabase,
    client: docker.APIClient,
    target: str,
    words: str,
) -> None:
    task = store_task(database, definition(mounts=(Mount(type="volume", target=target),)))

    assert_fails_soon(worker, database, task, words)
    eventually(lambda: not left_in_engine(client, task))


@pytest.mark.parametrize(
    "call",
    [
        "POST .*/containers/create",
        "POST .*/networks/create",
        "POST .*/attach",
        "POST .*/start",
        "POST .*/wait",
    ],
)
def test_call_that_fails_once_uses_up_no_attempt(
    worker: Worker, database: FlakyDatabase, proxy: EngineProxy, client: docker.APIClient, call: str
) -> None:
    proxy.answer(call, 500, "no such file or directory")
    sidecar = Sidecar(name="s", image=BUSYBOX, run="sleep 300")
    task = store_task(database, definition("echo once", sidecars=(sidecar,)))

    done = run(worker, database, task)

    assert (done.outcome, done.result) == (Outcome.COMPLETED, "once\n")
    assert "no such file or directory; trying again" in text_of(database, task.id)
    eventually(lambda: not left_in_engine(client, task))


@pytest.mark.parametrize("fault", ["error", "no answer"])
@pytest.mark.parametrize("code", [137, 143, 255])
def test_step_runs_once_if_the_engine_failed_before_its_start(
    worker: Worker, database: FlakyDatabase, proxy: EngineProxy, fault: str, code: int
) -> None:
    call = "POST .*/containers/create"
    if fault == "error":
        proxy.answer(call, 500, "an accident")
    else:
        proxy.drop(call)
    task = store_task(database, definition(f"exit {code}"))

    done = run(worker, database, task)

    assert (done.outcome, done.error) == (Outcome.FAILED, f"exit code {code}")
    assert (proxy.count(call), proxy.count("POST .*/start")) == (2, 1)


@pytest.mark.usefixtures("registry")
def test_image_that_is_pruned_after_its_pull_is_pulled_again(
    worker: Worker, database: FlakyDatabase, proxy: EngineProxy, pullable: str
) -> None:
    proxy.answer("POST .*/containers/create", 404, "No such image", times=2)
    task = store_task(database, definition("echo done", image=pullable))

    done = run(worker, database, task)

    assert (done.outcome, done.result) == (Outcome.COMPLETED, "done\n")
    assert "is missing although it was pulled; trying again" in text_of(database, task.id)


def test_engine_that_fails_all_calls_is_not_away(
    worker: Worker, database: FlakyDatabase, proxy: EngineProxy
) -> None:
    """A proxy before the engine may answer in its place."""
    proxy.answer(".", 502, "Bad Gateway", times=1_000_000)
    task = store_task(database, definition())

    assert "Bad Gateway" in (run(worker, database, task).error or "")


def test_answer_that_is_no_json_fails_the_task(
    worker: Worker, database: FlakyDatabase, proxy: EngineProxy
) -> None:
    proxy.answer("POST .*/containers/create", 502, "<html>", times=2)
    task = store_task(database, definition())

    assert "could not create the container: " in (run(worker, database, task).error or "")


def test_pruned_container_is_created_again(
    worker: Worker, database: FlakyDatabase, runtime: DockerRuntime, client: docker.APIClient
) -> None:
    probe = Probe(path="/passwd", port=80, timeout="30s")
    script = "until [ -e /tork/workdir/go ]; do sleep 0.05; done; exec httpd -f -p 80 -h /etc"
    sidecar = Sidecar(name="s", image=BUSYBOX, run=script, probe=probe)
    task = store_task(database, definition("wget -q -O - http://s/passwd", sidecars=(sidecar,)))
    running = start(worker, database, task)
    eventually(lambda: client.containers(filters=of_task(task)))

    assert prune("containers", client, task)
    sidecar_ref = type(task.ref)(task_id=task.id, delivery=1, step=1)
    (runtime._exchange.path(sidecar_ref) / "workdir" / "go").touch()

    done = running.result(WAIT_S)
    assert done.outcome is Outcome.COMPLETED
    assert "root:" in (done.result or "")
    assert "another program removed the step's container" in text_of(database, task.id)
    eventually(lambda: not left_in_engine(client, task))


@pytest.mark.parametrize("what", ["networks", "containers and networks"])
def test_what_is_pruned_while_the_image_of_a_sidecar_is_pulled_is_created_again(
    worker: Worker,
    database: FlakyDatabase,
    client: docker.APIClient,
    paused_registry: FakeRegistry,
    pullable: str,
    *,
    what: str,
) -> None:
    sidecar = Sidecar(name="s", image=pullable, run="exec httpd -f -p 80 -h /etc")
    script = "until wget -q -O - http://s/passwd; do sleep 0.1; done"
    task = store_task(database, definition(script, sidecars=(sidecar,)))
    running = start(worker, database, task)
    assert paused_registry.request_received.wait(WAIT_S)

    if "containers" in what:
        assert prune("containers", client, task)
    assert prune("networks", client, task)
    paused_registry.resume()

    done = running.result(WAIT_S)
    assert done.outcome is Outcome.COMPLETED
    assert "root:" in (done.result or "")
    assert done.attempts == 0
    eventually(lambda: not left_in_engine(client, task))


def test_container_that_is_removed_at_its_end_runs_again(
    worker: Worker, database: FlakyDatabase, proxy: EngineProxy
) -> None:
    proxy.answer("POST .*/wait", 404, "No such container")
    task = store_task(database, definition("echo once"))

    done = run(worker, database, task)

    assert (done.outcome, done.result) == (Outcome.COMPLETED, "once\n")
    assert proxy.count("POST .*/start") == 2
    assert "another program removed the container" in text_of(database, task.id)


def test_volume_that_is_pruned_between_two_steps_starts_the_task_again(
    worker: Worker,
    database: FlakyDatabase,
    client: docker.APIClient,
    paused_registry: FakeRegistry,
    pullable: str,
) -> None:
    pre = StepDefinition(image=BUSYBOX, run="echo precious > /data/f")
    mounts = (Mount(type="volume", target="/data"),)
    task = store_task(database, definition("cat /data/f", image=pullable, pre=(pre,), mounts=mounts))
    running = start(worker, database, task)
    assert paused_registry.request_received.wait(WAIT_S)

    eventually(lambda: prune("volumes", client, task))
    paused_registry.resume()

    again = running.result(WAIT_S)
    assert (again.state, again.delivery, again.step) == (TaskState.SCHEDULED, 2, 0)
    assert "another program removed the volume at /data; the task starts again" in text_of(database, task.id)
    done = run(worker, database, again)
    assert (done.outcome, done.result) == (Outcome.COMPLETED, "precious\n")
    assert (done.losses, done.attempts) == (0, 0)
    eventually(lambda: not left_in_engine(client, task))


def test_release_while_a_step_is_tried_again_leaves_nothing_in_the_engine(
    worker: Worker, database: FlakyDatabase, proxy: EngineProxy, client: docker.APIClient
) -> None:
    proxy.drop("POST .*/start", times=1000)
    mounts = (Mount(type="volume", target="/data"),)
    task = store_task(database, definition(mounts=mounts))
    running = start(worker, database, task)
    eventually(lambda: "trying again" in text_of(database, task.id))

    worker.release()

    assert running.result(WAIT_S).delivery == 2
    eventually(lambda: not left_in_engine(client, task))


@pytest.fixture
def short_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls_in_progress, "GRACE_S", 0.1)
    monkeypatch.setattr(engine_api, "_KILL_TIMEOUT_S", 0.3)
    monkeypatch.setattr(engine_api, "_EXIT_TIMEOUT_S", 0.3)


@pytest.mark.usefixtures("short_patience")
@pytest.mark.parametrize("call", ["POST .*/containers/create", "POST .*/start"])
@pytest.mark.parametrize("act", ["cancel", "release", "detach"])
def test_engine_that_hangs_does_not_hold_a_step_that_is_to_end(
    worker: Worker,
    database: FlakyDatabase,
    proxy: EngineProxy,
    client: docker.APIClient,
    *,
    call: str,
    act: str,
) -> None:
    proxy.hang(call)
    task = store_task(database, definition())
    running = start(worker, database, task)
    eventually(lambda: proxy.count(call))

    if act == "cancel":
        change(database, task_now(database, task.id), state=TaskState.CANCELLED)
        worker.kill(task.id, task.delivery)
    else:
        getattr(worker, act)()

    states = {"cancel": TaskState.CANCELLED, "release": TaskState.SCHEDULED, "detach": TaskState.RUNNING}
    assert running.result(WAIT_S).state is states[act]
    if act != "detach":
        eventually(lambda: not left_in_engine(client, task))


@pytest.mark.usefixtures("short_patience")
def test_step_times_out_while_the_engine_hangs(
    worker: Worker, database: FlakyDatabase, proxy: EngineProxy, client: docker.APIClient
) -> None:
    task = store_task(database, definition("sleep 300", timeout="1s"))
    proxy.hang("POST .*/(kill|wait)")

    timed_out = run(worker, database, task)

    assert timed_out.error == "timed out after 1s"
    eventually(lambda: not left_in_engine(client, task))


def test_step_times_out_while_the_engine_is_away(
    worker: Worker, database: FlakyDatabase, proxy: EngineProxy, client: docker.APIClient
) -> None:
    task = store_task(database, definition("sleep 300", timeout="2s"))
    running = start(worker, database, task)
    eventually(lambda: task_now(database, task.id).deadline_at is not None)  # the timeout runs
    proxy.drop(".", times=1_000_000)
    proxy.break_connections()

    assert running.result(WAIT_S).error == "timed out after 2s"
    assert client.containers(filters=of_task(task))

    proxy.heal()
    eventually(lambda: not left_in_engine(client, task))
