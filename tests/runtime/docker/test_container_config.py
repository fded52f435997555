from pathlib import Path

import pytest

from tests.runtime.steps import StepFactory
from tork_celery.runtime.docker.container_config import container_config
from tork_celery.runtime.docker.resource_names import ResourceNames


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
    steps: StepFactory, tmp_path: Path, gpus: str, device_request: dict[str, object]
) -> None:
    config = container_config(
        steps.step("true", gpus=gpus),
        names=ResourceNames(cluster="c", node="n", host="h"),
        exchange=tmp_path,
        log_limit_bytes=1,
        private_workdir=False,
        bind_sources=(),
    )

    assert config["HostConfig"]["DeviceRequests"] == [
        {"Driver": "", "Capabilities": [["gpu"]], **device_request}
    ]
