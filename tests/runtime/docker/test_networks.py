"""Which networks a step joins, and by which names it is found there."""

import uuid
from collections.abc import Iterator

import docker
import pytest

from tests.runtime.steps_at_work import PATIENCE_S, Recorder, Steps, inspect, start
from tork_celery.domain.errors import EngineUnavailable, StepFailed
from tork_celery.domain.model import StepRef
from tork_celery.runtime.docker import DockerRuntime, error_mapping
from tork_celery.runtime.docker.networks import endpoints, slug
from tork_celery.runtime.protocol import StepRun

REF = StepRef(task_id="t", delivery=1, step=0)
PRIVATE = "tork-t-1"


@pytest.fixture
def network(client: docker.APIClient) -> Iterator[str]:
    """One that an operator made."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    client.create_network(name)
    yield name
    client.remove_network(name)


@pytest.fixture
def steps(busybox: str) -> Steps:
    return Steps(busybox)


def main(steps: Steps, *sidecars: str, **more: object) -> StepRun:
    beside = tuple(
        steps.sidecar(name, "sleep 300", beside=REF, number=number)
        for number, name in enumerate(sidecars, start=1)
    )
    return steps.step("true", ref=REF, sidecars=beside, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "host"),
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
def test_a_name_becomes_that_of_a_host(name: str, host: str) -> None:
    assert slug(name) == host


def test_a_step_without_networks_is_left_to_the_engine(steps: Steps) -> None:
    assert endpoints(main(steps)) == {}


def test_a_step_is_found_by_its_name_where_the_network_knows_names(steps: Steps) -> None:
    assert endpoints(main(steps, name="The Task", networks=("one", "bridge"))) == {
        "one": ["the-task"],
        "bridge": [],
    }


def test_a_sidecar_is_found_in_the_private_network_only(steps: Steps) -> None:
    run = main(steps, "db", name="Main", networks=("one",))
    sidecar = steps.sidecar("db", "true", beside=REF, networks=("one",))

    assert endpoints(run) == {PRIVATE: ["main"], "one": ["main"]}
    assert endpoints(sidecar) == {PRIVATE: ["db"], "one": []}


def test_a_sidecar_has_its_name_before_the_task_of_the_same_name(steps: Steps) -> None:
    assert endpoints(main(steps, "db", name="DB")) == {PRIVATE: []}


@pytest.mark.engine
@pytest.mark.parametrize(("names", "error"), [(("a", "A"), "two sidecars"), (("!",), "a letter or a digit")])
def test_sidecars_that_could_not_be_reached_fail_the_task(
    runtime: DockerRuntime, steps: Steps, names: tuple[str, ...], error: str
) -> None:
    with pytest.raises(StepFailed, match=error):
        runtime.run(main(steps, *names), Recorder(), started=lambda: None)


@pytest.mark.engine
def test_steps_in_one_network_find_each_other_by_name(
    runtime: DockerRuntime, steps: Steps, network: str
) -> None:
    server = steps.step("exec httpd -f -p 80 -h /etc", name="The Server", networks=("bridge", network))
    serving = start(runtime, server, Recorder())
    recorder = Recorder()
    fetch = "until wget -q -O - http://the-server/passwd; do sleep 0.1; done"

    ended = runtime.run(steps.step(fetch, networks=(network,)), recorder, started=recorder.started)
    runtime.kill(server.ref)

    assert ended.code == 0
    assert b"root:" in recorder.printed()
    serving.result(PATIENCE_S)


@pytest.mark.engine
def test_a_step_joins_all_networks_of_its_task(
    runtime: DockerRuntime, steps: Steps, network: str, client: docker.APIClient
) -> None:
    run = steps.step("true", networks=("bridge", network))

    assert runtime.run(run, Recorder(), started=lambda: None).code == 0

    assert set(inspect(client, run.ref)["NetworkSettings"]["Networks"]) == {"bridge", network}


@pytest.mark.engine
def test_a_network_that_is_not_there_fails_the_task(runtime: DockerRuntime, steps: Steps) -> None:
    with pytest.raises(StepFailed, match=r'the network "nowhere" is not there: make it .* create nowhere'):
        runtime.run(steps.step("true", networks=("nowhere",)), Recorder(), started=lambda: None)


@pytest.mark.engine
def test_neither_the_machines_network_nor_another_tasks_can_be_joined(
    runtime: DockerRuntime, steps: Steps, client: docker.APIClient
) -> None:
    of_machine = client.inspect_network("host")["Id"]
    name = f"test-{uuid.uuid4().hex[:8]}"
    client.create_network(name, labels={"tork.task": "another"})
    try:
        for network in ("host", of_machine, of_machine[:12], name):
            with pytest.raises(StepFailed, match=f'the network "{network}"'):
                runtime.run(steps.step("true", networks=(network,)), Recorder(), started=lambda: None)
    finally:
        client.remove_network(name)


@pytest.mark.parametrize(
    "text",
    [
        "could not find an available, non-overlapping IPv4 address pool among the defaults to assign",
        "all predefined address pools have been fully subnetted",
    ],
)
def test_too_many_networks_at_a_time_are_not_the_tasks_fault(text: str) -> None:
    error = docker.errors.APIError("refused", explanation=text)

    assert isinstance(error_mapping.of_answer(error), EngineUnavailable)
