"""Pulling, from a registry that a test runs on this machine."""

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import docker
import pytest

from tests.eventually import eventually
from tests.runtime.docker import fake_registry
from tests.runtime.docker.fake_registry import Registry
from tests.runtime.steps_at_work import PATIENCE_S, Recorder, Steps, start
from tork_celery.domain.definition import Registry as Credentials
from tork_celery.domain.errors import EngineUnavailable, StepFailed
from tork_celery.runtime.docker import DockerRuntime
from tork_celery.runtime.docker.engine_api import EngineApi
from tork_celery.runtime.docker.image_pulls import ImagePulls
from tork_celery.runtime.protocol import Detached
from tork_celery.runtime.running_steps import RunningStep

pytestmark = pytest.mark.engine

Another = Callable[..., DockerRuntime]


@pytest.fixture
def registry() -> Iterator[Registry]:
    with fake_registry.serving() as registry:
        yield registry


@pytest.fixture
def image(registry: Registry, client: docker.APIClient) -> Iterator[str]:
    """An image that this machine does not have, and the registry may."""
    name = f"{registry.address}/tork/{uuid.uuid4().hex}"
    yield f"{name}:1"
    for found in client.images(name):
        client.remove_image(found["RepoTags"][0], force=True)


@pytest.fixture
def steps(image: str) -> Steps:
    return Steps(image)


def waiting(runtime: DockerRuntime) -> int:
    return sum(len(pull.listeners) for pull in runtime._pulls._pulls.values())


def test_steps_that_need_the_same_image_pull_it_once(
    another: Another, steps: Steps, registry: Registry, client: docker.APIClient, busybox: str
) -> None:
    runtime, recorders = another(), [Recorder() for _ in range(3)]
    registry.store(b"".join(client.get_image(busybox)))
    registry.hold()

    futures = [start(runtime, steps.step("echo pulled"), recorder) for recorder in recorders]
    eventually(lambda: waiting(runtime) == len(recorders))
    assert [recorder.starts for recorder in recorders] == [0, 0, 0]
    registry.release()

    assert [future.result(PATIENCE_S).code for future in futures] == [0, 0, 0]
    assert [recorder.printed() for recorder in recorders] == [b"pulled\n"] * 3
    for recorder in recorders:
        assert recorder.notes.startswith(f"pulling image {steps.image}\n")
        assert "Downloaded newer image" in recorder.notes
    assert not runtime._pulls._pulls


def test_a_registrys_bad_moment_is_not_the_tasks_fault(
    another: Another, steps: Steps, registry: Registry
) -> None:
    registry.status = 503

    with pytest.raises(EngineUnavailable, match=r"could not be pulled: .*503"):
        another().run(steps.step("true"), Recorder(), started=lambda: None)


def test_an_image_that_the_registry_does_not_have_fails_the_task(another: Another, steps: Steps) -> None:
    with pytest.raises(StepFailed, match=f'image "{steps.image}" could not be pulled: '):
        another().run(steps.step("true"), Recorder(), started=lambda: None)


def test_a_pull_that_takes_too_long_fails_the_task(
    another: Another, steps: Steps, registry: Registry
) -> None:
    registry.hold()

    with pytest.raises(StepFailed, match=r"could not be pulled within 0.2 s"):
        another(pull_timeout_s=0.2).run(steps.step("true"), Recorder(), started=lambda: None)


def test_a_step_that_is_stopped_while_its_image_is_pulled_never_starts(
    another: Another, steps: Steps, registry: Registry
) -> None:
    registry.hold()
    runtime, run, recorder = another(), steps.step("true"), Recorder()
    future = start(runtime, run, recorder)
    assert registry.asked.wait(PATIENCE_S)

    runtime.kill(run.ref, grace_s=PATIENCE_S)

    assert future.result(PATIENCE_S).note == "stopped before it started"
    assert recorder.starts == 0


def test_a_step_can_be_left_while_its_image_is_pulled(
    another: Another, steps: Steps, registry: Registry
) -> None:
    registry.hold()
    runtime = another()
    future = start(runtime, steps.step("true"), Recorder())
    assert registry.asked.wait(PATIENCE_S)

    runtime.detach()

    with pytest.raises(Detached):
        future.result(PATIENCE_S)


ADA = Credentials(username="ada", password="of-ada-0")


@pytest.fixture
def guarded(registry: Registry, client: docker.APIClient, busybox: str) -> Registry:
    """The registry with an image, and two users who may have it."""
    registry.store(b"".join(client.get_image(busybox)))
    registry.users = {"ada": "of-ada-0", "bob": "of-bob-0"}
    return registry


@pytest.mark.covers("Registry.username", "Registry.password")
@pytest.mark.parametrize("with_tokens", [False, True], ids=["basic", "token"])
def test_credentials_are_given_to_the_registry(
    another: Another, steps: Steps, guarded: Registry, *, with_tokens: bool
) -> None:
    guarded.with_tokens = with_tokens

    assert another().run(steps.step("true", registry=ADA), Recorder(), started=lambda: None).code == 0


@pytest.mark.parametrize("with_tokens", [False, True], ids=["basic", "token"])
@pytest.mark.parametrize("registry_", [None, Credentials(username="ada", password="wr0ng-word")])
def test_without_the_right_credentials_the_task_fails_and_no_password_is_told(
    another: Another, steps: Steps, guarded: Registry, registry_: Credentials | None, *, with_tokens: bool
) -> None:
    guarded.with_tokens = with_tokens
    recorder = Recorder()

    with pytest.raises(StepFailed, match="could not be pulled: ") as failure:
        another().run(steps.step("true", registry=registry_), recorder, started=recorder.started)

    assert "wr0ng-word" not in str(failure.value) + recorder.notes
    assert "wr0ng-word" not in repr(registry_)


def test_an_image_that_is_there_needs_no_credentials(
    another: Another, steps: Steps, guarded: Registry
) -> None:
    runtime = another()
    runtime.run(steps.step("true", registry=ADA), Recorder(), started=lambda: None)
    asked = guarded.manifests_asked

    assert runtime.run(steps.step("true"), Recorder(), started=lambda: None).code == 0

    assert guarded.manifests_asked == asked


def test_each_is_judged_by_its_own_credentials(another: Another, steps: Steps, guarded: Registry) -> None:
    """The pull of one that has them does not serve another that has not."""
    runtime = another()
    guarded.hold()
    given = [
        ADA,
        ADA,
        Credentials(username="bob", password="of-bob-0"),
        Credentials(username="bob", password="x"),
    ]
    futures = [start(runtime, steps.step("true", registry=each), Recorder()) for each in given]
    eventually(lambda: waiting(runtime) == len(given) or futures[-1].done())
    assert isinstance(futures[-1].exception(PATIENCE_S), StepFailed)
    assert len(runtime._pulls._pulls) == 2
    guarded.release()

    assert [future.result(PATIENCE_S).code for future in futures[:3]] == [0, 0, 0]


def test_an_image_that_is_there_can_be_pulled_all_the_same(
    another: Another, steps: Steps, registry: Registry, client: docker.APIClient, busybox: str
) -> None:
    registry.store(b"".join(client.get_image(busybox)))
    runtime, recorder = another(pull_always=True), Recorder()
    runtime.run(steps.step("true"), Recorder(), started=lambda: None)

    assert runtime.run(steps.step("true"), recorder, started=lambda: None).code == 0

    assert "Image is up to date" in recorder.notes


@pytest.mark.usefixtures("guarded")
def test_an_image_that_was_pulled_and_not_used_for_long_is_removed(
    another: Another, steps: Steps, client: docker.APIClient
) -> None:
    runtime = another(image_ttl_s=0.001)
    run = steps.step("true", registry=ADA)
    runtime.run(run, Recorder(), started=lambda: None)

    runtime.remove_delivery(run.ref.task_id, 1)

    eventually(lambda: runtime.collect_garbage() or not client.images(steps.image))


def test_an_image_that_this_machine_had_is_kept(
    another: Another, busybox: str, client: docker.APIClient, tmp_path: Path
) -> None:
    runtime = another(image_ttl_s=0.001)
    runtime.run(Steps(busybox).step("true"), Recorder(), started=lambda: None)

    assert not (tmp_path / "images").exists()
    runtime.collect_garbage()
    runtime.close()
    assert client.images(busybox)


class Telling:
    """An engine whose pulls go as the test says."""

    def __init__(self, *chunks: bytes) -> None:
        self._chunks = chunks

    def pull(self, _image: str, _credentials: None, *, timeout_s: float) -> "Telling":  # noqa: ARG002
        return self

    def chunks(self) -> Iterator[bytes]:
        yield from self._chunks

    def interrupt(self) -> None: ...

    def close(self) -> None: ...


def pulled(*chunks: bytes) -> list[str]:
    recorder = Recorder()
    pulls = ImagePulls(cast("EngineApi", Telling(*chunks)), timeout_s=PATIENCE_S)
    pulls.pull("some:image", None, RunningStep(), recorder)
    return recorder.notes.splitlines()


def test_a_layer_is_noted_when_its_state_changes_not_for_every_byte() -> None:
    assert pulled(
        b'{"status":"Pulling from some","id":"image"}\r\n{"status":"Pulling fs layer","progressDetail":{},"i',
        b'd":"aa"}\r\n',
        *(b'{"status":"Downloading","progressDetail":{"current":%d},"id":"aa"}\r\n' % n for n in range(99)),
        b'{"status":"Pull complete","progressDetail":{},"id":"aa"}\r\n{"status":"Status: Downloaded"}\r\n',
    ) == [
        "pulling image some:image",
        "image: Pulling from some",
        "aa: Pulling fs layer",
        "aa: Downloading",
        "aa: Pull complete",
        "Status: Downloaded",
    ]


def test_a_pull_may_fail_after_it_began() -> None:
    with pytest.raises(StepFailed, match='image "some:image" could not be pulled: no matching manifest'):
        pulled(b'{"status":"Pulling"}\r\n', b'{"error":"no matching manifest","errorDetail":{}}\r\n')
