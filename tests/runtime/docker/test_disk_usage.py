"""The space that containers use is measured on the disks of the exchange directories and of the engine."""

from pathlib import Path
from typing import Any

import docker
import pytest

from tests.runtime.docker.containers import NODE, RuntimeFactory
from tests.runtime.steps import TIMEOUT_S, RecordingSink, StepFactory, run_step, start_step
from tork_celery.domain.definition import Mount
from tork_celery.domain.errors import EngineUnavailable
from tork_celery.runtime.docker.disk_usage import DiskUsage
from tork_celery.runtime.docker.engine_connection import EngineConnection
from tork_celery.runtime.docker.resource_names import ResourceNames
from tork_celery.runtime.exchange import Exchange

MIB = 2**20
LABELS = {
    "tork.cluster": "ours",
    "tork.node": NODE,
    "tork.host": "here",
    "tork.task": "task",
    "tork.delivery": "1",
}


class FakeConnection(EngineConnection):
    """An engine on this host that keeps its data in `directory`."""

    def __init__(self, directory: Path, url: str = "unix:///engine.sock") -> None:
        super().__init__(url, connections=1)
        self.directory = directory
        self.answers = True


class FakeDiskUsage(DiskUsage):
    """Asks no engine."""

    def _get(self, path: str, *, timeout_s: float) -> dict[str, Any]:
        del timeout_s
        assert isinstance(self.connection, FakeConnection)
        if not self.connection.answers:
            raise EngineUnavailable("away")
        if path == "/info":
            return {"DockerRootDir": str(self.connection.directory)}
        return {
            "Containers": [
                {"Labels": LABELS, "SizeRw": 3 * MIB},
                {"Labels": {**LABELS, "tork.cluster": "another"}, "SizeRw": 100 * MIB},
                {"Labels": {**LABELS, "tork.node": "other@there", "tork.host": "there"}, "SizeRw": 100 * MIB},
                {"Labels": None, "SizeRw": 100 * MIB},
                {"Labels": LABELS},
            ],
            "Volumes": [
                {"Labels": LABELS, "UsageData": {"Size": 2 * MIB}},
                {"Labels": LABELS, "UsageData": {"Size": -1}},
                {"Labels": None, "UsageData": None},
            ],
        }


def make_usage(tmp_path: Path, connection: FakeConnection) -> FakeDiskUsage:
    exchange = Exchange(work_dir=tmp_path / "work", node=NODE)
    (tmp_path / "work" / NODE / "task-1" / "0").mkdir(parents=True)
    (tmp_path / "work" / NODE / "task-1" / "0" / "output").write_bytes(bytes(MIB))
    return FakeDiskUsage(
        connection=connection,
        names=ResourceNames(cluster="ours", node=NODE, host="here"),
        exchange=exchange,
        work_dir=tmp_path / "work",
    )


def test_files_volumes_and_exchange_directories_count_on_one_disk(tmp_path: Path) -> None:
    [disk] = make_usage(tmp_path, FakeConnection(tmp_path)).disks()

    assert disk.path == tmp_path / "work"
    assert set(disk.usage()) == {("task", 1)}
    assert 6 * MIB <= disk.usage()["task", 1] < 6.1 * MIB


def test_engine_may_have_a_disk_of_its_own(tmp_path: Path) -> None:
    shared_memory = Path("/dev/shm")
    if shared_memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("/dev/shm is on the disk of the temporary directory")

    work, engine = make_usage(tmp_path, FakeConnection(shared_memory)).disks()

    assert (work.path, engine.path) == (tmp_path / "work", shared_memory)
    assert MIB <= work.usage()["task", 1] < 1.1 * MIB
    assert engine.usage() == {("task", 1): 5 * MIB}


@pytest.mark.parametrize("url", ["unix:///engine.sock", "tcp://there:2375"])
def test_engine_elsewhere_has_no_disk_here(tmp_path: Path, url: str) -> None:
    directory = tmp_path / "not-here" if url.startswith("unix") else tmp_path

    [disk] = make_usage(tmp_path, FakeConnection(directory, url)).disks()

    assert disk.usage()["task", 1] < 1.1 * MIB


def test_exchange_directories_are_measured_while_the_engine_is_away(tmp_path: Path) -> None:
    connection = FakeConnection(tmp_path)
    usage = make_usage(tmp_path, connection)
    [known] = usage.disks()
    connection.answers = False

    assert known.usage()["task", 1] < 1.1 * MIB
    assert len(usage.disks()) == 1


def test_real_engine_reports_the_files_and_volumes_of_steps(
    make_runtime: RuntimeFactory, steps: StepFactory, client: docker.APIClient
) -> None:
    del client
    runtime = make_runtime()
    fill = "dd if=/dev/zero of=/file bs=1000000 count=3; dd if=/dev/zero of=/data/file bs=1000000 count=4"
    run = steps.step(f"({fill}) 2>/dev/null", mounts=(Mount(type="volume", target="/data"),))
    run_step(runtime, run)

    used = sum(disk.usage().get((run.ref.task_id, 1), 0) for disk in runtime.disks())

    assert used >= 7_000_000


def test_largest_delivery_is_killed_if_it_is_large_enough(
    make_runtime: RuntimeFactory, steps: StepFactory, client: docker.APIClient
) -> None:
    runtime, sink = make_runtime(), RecordingSink()
    small = steps.step("dd if=/dev/zero of=$TORK_OUTPUT bs=1000000 count=2 2>/dev/null")
    large = steps.step("dd if=/dev/zero of=$TORK_OUTPUT bs=1000000 count=3; echo written; sleep 300")
    run_step(runtime, small)
    following = start_step(runtime, large, sink)
    sink.wait_for(b"written")

    assert not runtime.kill_largest(at_least_bytes=10_000_000)
    assert runtime.kill_largest(at_least_bytes=1_000_000)

    assert following.result(TIMEOUT_S).code == 137
    assert runtime.used_bytes(large.ref.task_id, 1) < 500_000
    assert runtime.used_bytes(small.ref.task_id, 1) > 2_000_000
    del client
