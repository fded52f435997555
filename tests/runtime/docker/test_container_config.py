import pytest

from tests.runtime.steps import StepFactory
from tork_celery.domain.definition import Mount
from tork_celery.runtime.docker.container_config import container_config
from tork_celery.runtime.docker.policy import ContainerPolicy
from tork_celery.runtime.docker.resource_names import ResourceNames

NAMES = ResourceNames(cluster="c", node="n", host="h")


@pytest.mark.covers("Task.gpus")
@pytest.mark.parametrize(
    ("gpus", "device_request"),
    [
        ("all", {"Count": -1}),
        ("2", {"Count": 2}),
        ("count=2", {"Count": 2}),
        ("count=all", {"Count": -1}),
        ("device=0,GPU-1a", {"DeviceIDs": ["0", "GPU-1a"]}),
        ('"device=0,GPU-1a"', {"DeviceIDs": ["0", "GPU-1a"]}),
    ],
)
def test_gpus_are_requested_as_by_docker_run(
    steps: StepFactory, gpus: str, device_request: dict[str, object]
) -> None:
    config = container_config(
        steps.step("true", gpus=gpus),
        names=NAMES,
        mounts=(),
        log_limit_bytes=1,
        policy=ContainerPolicy(),
    )

    assert config["HostConfig"]["DeviceRequests"] == [
        {"Driver": "", "Capabilities": [["gpu"]], **device_request}
    ]


def test_volume_is_labelled_with_its_delivery_and_step(steps: StepFactory) -> None:
    run = steps.step("true", mounts=(Mount(type="volume", target="/shared"),))
    config = container_config(run, names=NAMES, mounts=(), log_limit_bytes=1, policy=ContainerPolicy())

    [volume] = config["HostConfig"]["Mounts"]
    assert volume["VolumeOptions"]["Labels"] == NAMES.step_labels(run)
