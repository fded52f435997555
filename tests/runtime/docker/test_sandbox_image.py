import io
import platform
import shutil
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.eventually import eventually
from tork_celery.runtime.docker.sandbox_image import MACHINES, elf, image_archive, image_name

_KERNEL_NAMES = {"amd64": "x86_64", "arm64": "aarch64"}


@contextmanager
def running(machine: str, directory: Path) -> Iterator[psutil.Popen]:
    """Run the program of a machine type, on others by QEMU. Skip the test where that is not installed."""
    command = []
    if platform.machine() != _KERNEL_NAMES[machine]:
        emulator = shutil.which(f"qemu-{_KERNEL_NAMES[machine]}") or shutil.which(
            f"qemu-{_KERNEL_NAMES[machine]}-static"
        )
        if emulator is None:
            pytest.skip(f"needs QEMU to run programs for {machine}")
        command = [emulator]
    program = directory / "pause"
    program.write_bytes(elf(machine))
    program.chmod(0o755)
    process = psutil.Popen([*command, str(program), "name"])
    try:
        yield process
    finally:
        process.kill()
        assert process.wait() == -9


@pytest.mark.parametrize("machine", sorted(MACHINES))
def test_program_waits_for_ever_also_after_it_was_stopped(machine: str, tmp_path: Path) -> None:
    with running(machine, tmp_path) as process:
        eventually(lambda: process.status() == psutil.STATUS_SLEEPING)
        process.suspend()
        eventually(lambda: process.status() == psutil.STATUS_STOPPED)
        process.resume()
        eventually(lambda: process.status() == psutil.STATUS_SLEEPING)


def test_program_for_x86_64_has_129_bytes() -> None:
    assert len(elf("amd64")) == 129


@pytest.mark.parametrize("machine", sorted(MACHINES))
def test_image_holds_one_program_that_anybody_may_run(machine: str) -> None:
    with tarfile.open(fileobj=io.BytesIO(image_archive(machine))) as tar:
        [entry] = tar.getmembers()
        contents = tar.extractfile(entry)
        assert contents is not None
        assert (entry.name, entry.mode, contents.read()) == ("pause", 0o555, elf(machine))


def test_image_name_changes_with_the_program() -> None:
    names = {image_name(machine) for machine in MACHINES}

    assert len(names) == len(MACHINES)
    assert all(name.startswith("tork-celery-sandbox:") for name in names)
