import os
from typing import Any

import docker
import pytest

from tests.runtime.docker.containers import RuntimeFactory, inspect
from tests.runtime.steps import RecordingSink, StepFactory, run_step
from tork_celery.domain.definition import Limits
from tork_celery.domain.errors import StepFailed
from tork_celery.runtime.docker import DockerRuntime
from tork_celery.runtime.docker.policy import ContainerPolicy

MIB = 2**20


@pytest.mark.parametrize(
    ("policy", "config"),
    [
        (ContainerPolicy(), {"PidsLimit": 4096, "CapDrop": ["MKNOD", "NET_RAW"]}),
        (ContainerPolicy(capabilities=["NET_RAW"]), {"PidsLimit": 4096, "CapDrop": ["MKNOD"]}),
        (ContainerPolicy(capabilities=["NET_RAW", "MKNOD"], pids_limit=0), {}),
        (
            ContainerPolicy(pids_limit=10, no_new_privileges=True),
            {"PidsLimit": 10, "CapDrop": ["MKNOD", "NET_RAW"], "SecurityOpt": ["no-new-privileges"]},
        ),
    ],
)
def test_containers_are_restricted_by_default(policy: ContainerPolicy, config: dict[str, Any]) -> None:
    assert policy.host_config(None) == config


@pytest.mark.parametrize(
    ("limits", "config"),
    [
        (None, {"NanoCpus": 1_500_000_000, "Memory": 64 * MIB, "MemorySwap": 64 * MIB}),
        (Limits(cpus="1"), {"NanoCpus": 1_000_000_000, "Memory": 64 * MIB, "MemorySwap": 64 * MIB}),
        (
            Limits(cpus="1.5", memory="16m"),
            {"NanoCpus": 1_500_000_000, "Memory": 16 * MIB, "MemorySwap": 16 * MIB},
        ),
    ],
)
def test_ceiling_is_the_limit_of_a_task_without_one(
    monkeypatch: pytest.MonkeyPatch, limits: Limits | None, config: dict[str, int]
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    policy = ContainerPolicy(
        max_cpus="1.5", max_memory="64m", pids_limit=0, capabilities=["NET_RAW", "MKNOD"]
    )

    assert policy.host_config(limits) == config


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (Limits(cpus="1.6"), "limits.cpus: 1.6 is more than the 1.5 that this worker allows.*TORK_MAX_CPUS"),
        (Limits(memory="65m"), "limits.memory: 65m is more than the 64m that this worker.*TORK_MAX_MEMORY"),
        (Limits(memory="1k"), "limits: .*at least 6m"),
    ],
)
def test_task_above_the_ceiling_fails(limits: Limits, message: str) -> None:
    with pytest.raises(StepFailed, match=message):
        ContainerPolicy(max_cpus="1.5", max_memory="64m").host_config(limits)


def test_ceiling_above_the_cpus_of_the_machine_does_not_fail_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 2)

    assert ContainerPolicy(max_cpus="64").host_config(None)["NanoCpus"] == 2_000_000_000


@pytest.mark.parametrize(
    ("networks", "message"),
    [
        ((), 'the network "lab" is not allowed on this worker; its setting TORK_NETWORKS allows none'),
        (("office",), "allows office"),
    ],
)
def test_network_outside_the_allow_list_fails_the_step(networks: tuple[str, ...], message: str) -> None:
    with pytest.raises(StepFailed, match=message):
        ContainerPolicy(networks=networks).check_networks(["lab"])


def test_network_in_the_allow_list_may_be_joined() -> None:
    ContainerPolicy(networks=("office", "lab")).check_networks(["lab"])
    ContainerPolicy().check_networks(["lab"])


def test_step_of_a_network_outside_the_allow_list_never_starts(
    make_runtime: RuntimeFactory, steps: StepFactory
) -> None:
    runtime = make_runtime(policy=ContainerPolicy(networks=("office",)))

    with pytest.raises(StepFailed, match="TORK_NETWORKS allows office"):
        run_step(runtime, steps.step("true", networks=("bridge",)))


SHOW_RESTRICTIONS = """
mknod /tmp/null c 1 3 2>/dev/null && echo device
awk '/^CapEff/ { print $2 } /^NoNewPrivs/ { print $2 }' /proc/self/status
mkfifo /tmp/errors
grep -c fork < /tmp/errors &  # before there is no process left for it
(i=0; while [ $i -lt 20 ]; do sleep 300 > /dev/null 2>&1 & i=$((i + 1)); done) 2> /tmp/errors
wait $!
"""
NET_RAW = 1 << 13


def show_restrictions(runtime: DockerRuntime, steps: StepFactory) -> list[str]:
    sink = RecordingSink()
    run_step(runtime, steps.step(SHOW_RESTRICTIONS), sink)
    return sink.stdout.decode().split()


def test_step_makes_no_devices_and_no_raw_sockets(runtime: DockerRuntime, steps: StepFactory) -> None:
    capabilities, no_new_privileges, failed_forks = show_restrictions(runtime, steps)

    assert not int(capabilities, 16) & NET_RAW
    assert (no_new_privileges, failed_forks) == ("0", "0")


def test_step_has_what_the_settings_of_the_worker_allow(
    make_runtime: RuntimeFactory, steps: StepFactory
) -> None:
    policy = ContainerPolicy(capabilities=["NET_RAW", "MKNOD"], pids_limit=8, no_new_privileges=True)

    device, capabilities, no_new_privileges, failed_forks = show_restrictions(
        make_runtime(policy=policy), steps
    )

    assert device == "device"
    assert int(capabilities, 16) & NET_RAW
    assert no_new_privileges == "1"
    assert int(failed_forks) > 0


@pytest.mark.parametrize(("pids_limit", "expected"), [(4096, 4096), (0, None)])
def test_number_of_processes_is_limited(
    make_runtime: RuntimeFactory,
    steps: StepFactory,
    client: docker.APIClient,
    pids_limit: int,
    expected: int | None,
) -> None:
    run = steps.step("true")
    run_step(make_runtime(policy=ContainerPolicy(pids_limit=pids_limit)), run)

    assert inspect(client, run.ref)["HostConfig"]["PidsLimit"] == expected
