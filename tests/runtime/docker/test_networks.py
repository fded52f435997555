import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from tests.runtime.docker.containers import BUSYBOX, RuntimeFactory, inspect
from tests.runtime.docker.engine_proxy import engine_proxy
from tests.runtime.steps import TIMEOUT_S, RecordingSink, StepFactory, run_step, start_step
from tork_celery.domain.backoff import PASSING
from tork_celery.domain.errors import EngineFailed, StepFailed
from tork_celery.domain.model import StepRef
from tork_celery.runtime.docker import DockerRuntime
from tork_celery.runtime.docker.networks import endpoints, hostname
from tork_celery.runtime.protocol import StepRun

REF = StepRef(task_id="t", delivery=1, step=0)
PRIVATE = "tork-t-1"


@pytest.fixture
def network(client: docker.APIClient) -> Iterator[str]:
    """A network that an operator created."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    client.create_network(name)
    yield name
    client.remove_network(name)


@pytest.fixture
def steps() -> StepFactory:
    return StepFactory(BUSYBOX)


def main_step(steps: StepFactory, *sidecars: str, **options: Any) -> StepRun:
    """Create a step with sidecars of these names."""
    sidecar_runs = tuple(
        steps.sidecar(name, "sleep 300", main=REF, number=number)
        for number, name in enumerate(sidecars, start=1)
    )
    return steps.step("true", ref=REF, sidecars=sidecar_runs, **options)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("db", "db"),
        ("My Data Base!", "my-data-base"),
        ("a_b--c", "a_b-c"),
        (" -x- ", "x"),
        ("größe", "gr-e"),
        ("!!!", ""),
        ("y" * 62 + "-z", "y" * 62),
    ],
)
def test_step_name_is_converted_to_a_hostname(name: str, expected: str) -> None:
    assert hostname(name) == expected


def test_step_without_networks_has_no_endpoints(steps: StepFactory) -> None:
    assert endpoints(main_step(steps)) == {}


def test_step_has_its_hostname_in_networks_that_support_aliases(steps: StepFactory) -> None:
    assert endpoints(main_step(steps, name="The Task", networks=("one", "bridge"))) == {
        "one": ["the-task"],
        "bridge": [],
    }


def test_sidecar_has_its_hostname_only_in_the_private_network(steps: StepFactory) -> None:
    run = main_step(steps, "db", name="Main", networks=("one",))
    sidecar = steps.sidecar("db", "true", main=REF, networks=("one",))

    assert endpoints(run) == {PRIVATE: ["main"], "one": ["main"]}
    assert endpoints(sidecar) == {PRIVATE: ["db"], "one": []}


def test_sidecar_takes_the_hostname_of_a_step_with_the_same_name(steps: StepFactory) -> None:
    assert endpoints(main_step(steps, "db", name="DB")) == {PRIVATE: []}


@pytest.mark.parametrize(
    ("names", "error"),
    [
        (("a", "A"), "two sidecars"),
        (("!",), "a letter or a digit"),
        (("123",), 'its host name "123" means an address; give it another name'),
        (("0x7F",), 'its host name "0x7f" means an address'),
        (("Localhost",), 'its host name "localhost" means the container itself'),
    ],
)
def test_unusable_sidecar_hostname_fails_the_step(
    runtime: DockerRuntime, steps: StepFactory, names: tuple[str, ...], error: str
) -> None:
    with pytest.raises(StepFailed, match=error):
        run_step(runtime, main_step(steps, *names))


def test_steps_in_one_network_resolve_each_others_hostnames(
    runtime: DockerRuntime, steps: StepFactory, network: str
) -> None:
    server = steps.step("exec httpd -f -p 80 -h /etc", name="The Server", networks=("bridge", network))
    server_run = start_step(runtime, server, RecordingSink())
    sink = RecordingSink()
    fetch = "until wget -q -O - http://the-server/passwd; do sleep 0.1; done"

    step_exit = run_step(runtime, steps.step(fetch, networks=(network,)), sink)
    runtime.kill(server.ref)

    assert step_exit.code == 0
    assert b"root:" in sink.stdout
    server_run.result(TIMEOUT_S)


def test_step_joins_all_its_networks(
    runtime: DockerRuntime, steps: StepFactory, network: str, client: docker.APIClient
) -> None:
    run = steps.step("true", networks=("bridge", network))

    assert run_step(runtime, run).code == 0

    assert set(inspect(client, run.ref)["NetworkSettings"]["Networks"]) == {"bridge", network}


def test_missing_network_fails_the_step(runtime: DockerRuntime, steps: StepFactory) -> None:
    with pytest.raises(
        StepFailed, match=r'the network "nowhere" does not exist: create it .* create nowhere'
    ):
        run_step(runtime, steps.step("true", networks=("nowhere",)))


def test_networks_of_the_host_and_of_other_tasks_are_rejected(
    runtime: DockerRuntime, steps: StepFactory, client: docker.APIClient
) -> None:
    host_network = client.inspect_network("host")["Id"]
    name = f"test-{uuid.uuid4().hex[:8]}"
    client.create_network(name, labels={"tork.task": "other"})
    try:
        for network in ("host", host_network, host_network[:12], name):
            with pytest.raises(StepFailed, match=f'the network "{network}"'):
                run_step(runtime, steps.step("true", networks=(network,)))
    finally:
        client.remove_network(name)


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (404, "could not find an available, non-overlapping IPv4 address pool among the defaults to assign"),
        (400, "all predefined address pools have been fully subnetted"),
        (403, "no such file or directory"),
    ],
)
def test_network_that_cannot_be_created_is_tried_again(
    make_runtime: RuntimeFactory, steps: StepFactory, tmp_path: Path, status: int, text: str
) -> None:
    """Nothing in that call is the user's, and subnets are free again when other tasks have ended."""
    with engine_proxy(tmp_path / "engine.sock") as proxy:
        proxy.answer("POST .*/networks/create", status, text)
        runtime = make_runtime(url=proxy.url)

        with pytest.raises(EngineFailed, match=f"could not create the network: {text}") as failure:
            run_step(runtime, main_step(steps, "db"))
        runtime.close()

    assert failure.value.limit is PASSING
