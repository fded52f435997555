"""Image pulls from a registry that the tests run on this host."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from tests.eventually import eventually
from tests.runtime.docker import fake_registry
from tests.runtime.docker.containers import RuntimeFactory
from tests.runtime.docker.fake_registry import FakeRegistry
from tests.runtime.steps import TIMEOUT_S, RecordingSink, StepFactory, run_step, start_step
from tork_celery.domain.definition import Registry
from tork_celery.domain.errors import StepFailed
from tork_celery.runtime.docker import DockerRuntime
from tork_celery.runtime.protocol import Detached


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with fake_registry.serving() as registry:
        yield registry


@pytest.fixture
def image(registry: FakeRegistry, client: docker.APIClient) -> Iterator[str]:
    """The name of an image that this host does not have."""
    name = f"{registry.address}/tork/{uuid.uuid4().hex}"
    yield f"{name}:1"
    for each in client.images(name):
        client.remove_image(each["RepoTags"][0], force=True)


@pytest.fixture
def steps(image: str) -> StepFactory:
    return StepFactory(image)


def waiting_steps(runtime: DockerRuntime) -> int:
    return sum(len(pull.inboxes) for pull in runtime._pulls._pulls.values())


def test_concurrent_steps_share_one_pull(
    make_runtime: RuntimeFactory,
    steps: StepFactory,
    registry: FakeRegistry,
    client: docker.APIClient,
    busybox: str,
) -> None:
    runtime, sinks = make_runtime(), [RecordingSink() for _ in range(3)]
    registry.store(b"".join(client.get_image(busybox)))
    registry.pause()

    futures = [start_step(runtime, steps.step("echo pulled"), sink) for sink in sinks]
    eventually(lambda: waiting_steps(runtime) == len(sinks))
    assert [sink.start_count for sink in sinks] == [0, 0, 0]
    registry.resume()

    assert [future.result(TIMEOUT_S).code for future in futures] == [0, 0, 0]
    assert [sink.stdout for sink in sinks] == [b"pulled\n"] * 3
    for sink in sinks:
        assert sink.notes.startswith(f"pulling image {steps.image}\n")
        assert "Downloaded newer image" in sink.notes
    assert not runtime._pulls._pulls


def test_pull_waits_for_a_registry_that_is_unavailable(
    make_runtime: RuntimeFactory,
    steps: StepFactory,
    registry: FakeRegistry,
    client: docker.APIClient,
    busybox: str,
) -> None:
    registry.store(b"".join(client.get_image(busybox)))
    registry.status = 503
    sink = RecordingSink()
    future = start_step(make_runtime(), steps.step("echo pulled"), sink)
    eventually(lambda: "503 Service Unavailable; trying again, for 30 s in all" in sink.notes)

    registry.status = None

    assert future.result(TIMEOUT_S).code == 0
    assert sink.stdout == b"pulled\n"


def test_pull_from_an_unavailable_registry_fails_after_the_timeout_over_all_tries(
    make_runtime: RuntimeFactory, steps: StepFactory, registry: FakeRegistry
) -> None:
    registry.status = 503
    sink = RecordingSink()

    with pytest.raises(StepFailed, match=r"could not be pulled within 2 s: .*503 Service Unavailable$"):
        run_step(make_runtime(pull_timeout_s=2), steps.step("true"), sink)

    assert sink.notes.count("trying again") == 1


@pytest.mark.parametrize("name", ["timeout-tester:1", "internal-timeout/unexpected:EOF", "dial/tcp:1"])
@pytest.mark.parametrize("registry_error", [None, "MANIFEST_UNKNOWN"])
def test_missing_image_fails_the_step_at_once_whatever_its_name(
    make_runtime: RuntimeFactory, registry: FakeRegistry, name: str, registry_error: str | None
) -> None:
    registry.error_code = registry_error
    image = f"{registry.address}/{name}"
    sink = RecordingSink()

    with pytest.raises(StepFailed, match=f'image "{image}" could not be pulled: .*(unknown|404)'):
        run_step(make_runtime(), StepFactory(image).step("true"), sink)

    assert "trying again" not in sink.notes


def test_image_missing_in_the_registry_fails_the_step(
    make_runtime: RuntimeFactory, steps: StepFactory
) -> None:
    with pytest.raises(StepFailed, match=f'image "{steps.image}" could not be pulled: '):
        run_step(make_runtime(), steps.step("true"))


def test_pull_timeout_fails_the_step(
    make_runtime: RuntimeFactory, steps: StepFactory, registry: FakeRegistry
) -> None:
    registry.pause()

    with pytest.raises(StepFailed, match=r"could not be pulled within 0.2 s"):
        run_step(make_runtime(pull_timeout_s=0.2), steps.step("true"))


def test_step_killed_during_its_pull_never_starts(
    make_runtime: RuntimeFactory, steps: StepFactory, registry: FakeRegistry
) -> None:
    registry.pause()
    runtime, run, sink = make_runtime(), steps.step("true"), RecordingSink()
    future = start_step(runtime, run, sink)
    assert registry.request_received.wait(TIMEOUT_S)

    runtime.kill(run.ref, grace_s=TIMEOUT_S)

    assert future.result(TIMEOUT_S).note == "stopped before it started"
    assert sink.start_count == 0


def test_step_can_be_detached_during_its_pull(
    make_runtime: RuntimeFactory, steps: StepFactory, registry: FakeRegistry
) -> None:
    registry.pause()
    runtime = make_runtime()
    future = start_step(runtime, steps.step("true"), RecordingSink())
    assert registry.request_received.wait(TIMEOUT_S)

    runtime.detach()

    with pytest.raises(Detached):
        future.result(TIMEOUT_S)


ADA = Registry(username="ada", password="of-ada-0")


@pytest.fixture
def private_registry(registry: FakeRegistry, client: docker.APIClient, busybox: str) -> FakeRegistry:
    """The registry with an image, which two users may pull."""
    registry.store(b"".join(client.get_image(busybox)))
    registry.users = {"ada": "of-ada-0", "bob": "of-bob-0"}
    return registry


@pytest.mark.covers("Registry.username", "Registry.password")
@pytest.mark.parametrize("with_tokens", [False, True], ids=["basic", "token"])
def test_credentials_are_sent_to_the_registry(
    make_runtime: RuntimeFactory, steps: StepFactory, private_registry: FakeRegistry, *, with_tokens: bool
) -> None:
    private_registry.with_tokens = with_tokens

    assert run_step(make_runtime(), steps.step("true", registry=ADA)).code == 0


@pytest.mark.parametrize("with_tokens", [False, True], ids=["basic", "token"])
@pytest.mark.parametrize("credentials", [None, Registry(username="ada", password="wr0ng-word")])
def test_wrong_credentials_fail_the_step_without_exposing_the_password(
    make_runtime: RuntimeFactory,
    steps: StepFactory,
    private_registry: FakeRegistry,
    credentials: Registry | None,
    *,
    with_tokens: bool,
) -> None:
    private_registry.with_tokens = with_tokens
    sink = RecordingSink()

    with pytest.raises(StepFailed, match="could not be pulled: ") as failure:
        run_step(make_runtime(), steps.step("true", registry=credentials), sink)

    assert "wr0ng-word" not in str(failure.value) + sink.notes
    assert "wr0ng-word" not in repr(credentials)


def test_present_image_needs_no_credentials(
    make_runtime: RuntimeFactory, steps: StepFactory, private_registry: FakeRegistry
) -> None:
    runtime = make_runtime()
    run_step(runtime, steps.step("true", registry=ADA))
    requests_before = private_registry.manifest_requests

    assert run_step(runtime, steps.step("true")).code == 0

    assert private_registry.manifest_requests == requests_before


def test_only_steps_with_the_same_credentials_share_a_pull(
    make_runtime: RuntimeFactory, steps: StepFactory, private_registry: FakeRegistry
) -> None:
    """A step without access to an image must not profit from the pull of another step."""
    runtime = make_runtime()
    private_registry.pause()
    credentials = [
        ADA,
        ADA,
        Registry(username="bob", password="of-bob-0"),
        Registry(username="bob", password="x"),
    ]
    futures = [
        start_step(runtime, steps.step("true", registry=each), RecordingSink()) for each in credentials
    ]
    eventually(lambda: waiting_steps(runtime) == len(credentials) or futures[-1].done())
    assert isinstance(futures[-1].exception(TIMEOUT_S), StepFailed)
    assert len(runtime._pulls._pulls) == 2
    private_registry.resume()

    assert [future.result(TIMEOUT_S).code for future in futures[:3]] == [0, 0, 0]


def test_pull_always_pulls_a_present_image(
    make_runtime: RuntimeFactory,
    steps: StepFactory,
    registry: FakeRegistry,
    client: docker.APIClient,
    busybox: str,
) -> None:
    registry.store(b"".join(client.get_image(busybox)))
    runtime, sink = make_runtime(pull_always=True), RecordingSink()
    run_step(runtime, steps.step("true"))

    assert run_step(runtime, steps.step("true"), sink).code == 0

    assert "Image is up to date" in sink.notes


@pytest.mark.usefixtures("private_registry")
def test_unused_pulled_image_is_removed(
    make_runtime: RuntimeFactory, steps: StepFactory, client: docker.APIClient
) -> None:
    runtime = make_runtime(image_ttl_s=0.001)
    run = steps.step("true", registry=ADA)
    run_step(runtime, run)

    runtime.remove_delivery(run.ref.task_id, 1)

    def is_removed() -> bool:
        runtime.collect_garbage(alive=set)
        return not client.images(steps.image)

    eventually(is_removed)


def test_image_that_was_not_pulled_is_kept(
    make_runtime: RuntimeFactory, busybox: str, client: docker.APIClient, tmp_path: Path
) -> None:
    runtime = make_runtime(image_ttl_s=0.001)
    run_step(runtime, StepFactory(busybox).step("true"))

    assert not (tmp_path / "images").exists()
    runtime.collect_garbage(alive=set)
    runtime.close()
    assert client.images(busybox)
