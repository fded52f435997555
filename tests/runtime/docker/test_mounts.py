"""What a task may have mounted, as the engine is told."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.runtime.steps_at_work import Recorder, Steps
from tork_celery.domain.definition import Mount
from tork_celery.domain.errors import StepFailed
from tork_celery.runtime.docker import DockerRuntime, mounts
from tork_celery.runtime.docker.resource_names import ResourceNames

Another = Callable[..., DockerRuntime]
NAMES = ResourceNames(cluster="c", node="n", host="h")


@pytest.fixture
def allowed(tmp_path: Path) -> Path:
    (tmp_path / "allowed" / "sub").mkdir(parents=True)
    (tmp_path / "allowed-not").mkdir()
    (tmp_path / "allowed" / "out").symlink_to("/etc")
    (tmp_path / "in").symlink_to(tmp_path / "allowed" / "sub")
    return tmp_path / "allowed"


@pytest.mark.parametrize("source", ["allowed", "allowed/sub", "allowed//sub/../sub/", "in"])
def test_a_bind_mount_may_be_of_a_listed_path_and_all_below_it(
    allowed: Path, tmp_path: Path, source: str
) -> None:
    resolved = (tmp_path / source).resolve()

    assert mounts.allowed(f"{tmp_path}/{source}", [Path("/elsewhere"), allowed]) == str(resolved)


def test_a_listed_path_may_be_a_link_itself(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")

    assert mounts.allowed(f"{tmp_path}/link", [tmp_path / "link"]) == f"{tmp_path.resolve()}/real"


@pytest.mark.parametrize(
    "source", ["", "allowed-not", "allowed/..", "allowed/sub/../..", "allowed/out", "no"]
)
def test_neither_dots_nor_links_lead_out(allowed: Path, tmp_path: Path, source: str) -> None:
    with pytest.raises(
        StepFailed, match=rf"not allowed on this worker; .*TORK_BIND_SOURCES allows {allowed}"
    ):
        mounts.allowed(f"{tmp_path}/{source}", [allowed])


def test_without_the_setting_nothing_may_be_bound() -> None:
    with pytest.raises(StepFailed, match=r'"/" is not allowed .* TORK_BIND_SOURCES allows none'):
        mounts.allowed("/", [])


@pytest.mark.covers("Mount.opts")
@pytest.mark.parametrize(
    ("opts", "options"),
    [
        ({}, {}),
        ({"size": "64k", "mode": "0700"}, {"SizeBytes": 65536, "Mode": 0o700}),
        ({"mode": "1777"}, {"Mode": 0o1777}),
    ],
)
def test_a_tmpfs_has_a_size_and_a_mode(opts: dict[str, str], options: dict[str, int]) -> None:
    run = Steps("an:image").step("true", mounts=(Mount(type="tmpfs", target="/fast", opts=opts),))

    assert mounts.of_step(run, NAMES, []) == [
        {"Type": "tmpfs", "Target": "/fast", "TmpfsOptions": options},
    ]


@pytest.mark.engine
def test_a_tmpfs_is_as_large_as_was_asked_for_and_has_its_mode(runtime: DockerRuntime, busybox: str) -> None:
    mount = Mount(type="tmpfs", target="/fast", opts={"size": "64k", "mode": "0700"})
    size = "df -k /fast | tail -n 1 | awk '{ print $1, $2 }'"
    script = f"stat -c %a /fast; {size}; ! head -c 100k /dev/zero > /fast/x"
    recorder = Recorder()

    ended = runtime.run(Steps(busybox).step(script, mounts=(mount,)), recorder, started=recorder.started)

    assert (ended.code, recorder.printed()) == (0, b"700\ntmpfs 64\n")


@pytest.mark.covers("Mount.type", "Mount.source", "Mount.target")
@pytest.mark.engine
def test_a_bind_mount_is_the_directory_itself(another: Another, busybox: str, allowed: Path) -> None:
    (allowed / "sub" / "x").write_text("of the host")
    mount = Mount(type="bind", source=f"{allowed}/sub", target="/theirs")
    recorder = Recorder()

    ended = another(bind_sources=(allowed,)).run(
        Steps(busybox).step("cat /theirs/x; echo new > /theirs/y", mounts=(mount,)),
        recorder,
        started=recorder.started,
    )

    assert (ended.code, recorder.printed()) == (0, b"of the host")
    assert (allowed / "sub" / "y").read_text() == "new\n"


@pytest.mark.engine
@pytest.mark.parametrize(
    ("source", "error"),
    [("/etc", "not allowed on this worker"), ("{allowed}/missing", "bind source path does not exist")],
)
def test_a_bind_mount_that_cannot_be_fails_the_task(
    another: Another, busybox: str, allowed: Path, source: str, error: str
) -> None:
    mount = Mount(type="bind", source=source.format(allowed=allowed), target="/theirs")

    with pytest.raises(StepFailed, match=error):
        another(bind_sources=(allowed,)).run(
            Steps(busybox).step("true", mounts=(mount,)), Recorder(), started=lambda: None
        )
