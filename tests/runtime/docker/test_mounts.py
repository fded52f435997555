from pathlib import Path

import pytest

from tests.runtime.docker.containers import RuntimeFactory
from tests.runtime.steps import RecordingSink, StepFactory, run_step
from tork_celery.domain.definition import Mount
from tork_celery.domain.errors import StepFailed
from tork_celery.runtime.docker import DockerRuntime
from tork_celery.runtime.docker.mounts import mount_configs, resolve_bind_source
from tork_celery.runtime.docker.policy import ContainerPolicy
from tork_celery.runtime.docker.resource_names import ResourceNames

NAMES = ResourceNames(cluster="c", node="n", host="h")


@pytest.fixture
def allowed(tmp_path: Path) -> Path:
    (tmp_path / "allowed" / "sub").mkdir(parents=True)
    (tmp_path / "allowed-not").mkdir()
    (tmp_path / "allowed" / "out").symlink_to("/etc")
    (tmp_path / "in").symlink_to(tmp_path / "allowed" / "sub")
    return tmp_path / "allowed"


@pytest.mark.parametrize("source", ["allowed", "allowed/sub", "allowed//sub/../sub/", "in"])
def test_bind_source_at_or_below_an_allowed_path_is_accepted(
    allowed: Path, tmp_path: Path, source: str
) -> None:
    resolved = (tmp_path / source).resolve()

    assert resolve_bind_source(f"{tmp_path}/{source}", [Path("/elsewhere"), allowed]) == str(resolved)


def test_allowed_path_may_be_a_symbolic_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")

    assert resolve_bind_source(f"{tmp_path}/link", [tmp_path / "link"]) == f"{tmp_path.resolve()}/real"


@pytest.mark.parametrize(
    "source", ["", "allowed-not", "allowed/..", "allowed/sub/../..", "allowed/out", "no"]
)
def test_bind_source_outside_the_allowed_paths_is_rejected(
    allowed: Path, tmp_path: Path, source: str
) -> None:
    with pytest.raises(
        StepFailed, match=rf"not allowed on this worker; .*TORK_BIND_SOURCES allows {allowed}"
    ):
        resolve_bind_source(f"{tmp_path}/{source}", [allowed])


def test_every_bind_source_is_rejected_by_default() -> None:
    with pytest.raises(StepFailed, match=r'"/" is not allowed .* TORK_BIND_SOURCES allows none'):
        resolve_bind_source("/", [])


@pytest.mark.covers("Mount.opts")
@pytest.mark.parametrize(
    ("opts", "options"),
    [
        ({}, {"Mode": 0o1777}),
        ({"size": "64k", "mode": "0700"}, {"SizeBytes": 65536, "Mode": 0o700}),
        ({"mode": "1777"}, {"Mode": 0o1777}),
    ],
)
def test_tmpfs_has_size_and_mode(opts: dict[str, str], options: dict[str, int]) -> None:
    run = StepFactory("an:image").step("true", mounts=(Mount(type="tmpfs", target="/fast", opts=opts),))

    assert mount_configs(run, NAMES, []) == [
        {"Type": "tmpfs", "Target": "/fast", "TmpfsOptions": options},
    ]


def test_tmpfs_is_mounted_with_size_and_mode(runtime: DockerRuntime, steps: StepFactory) -> None:
    mount = Mount(type="tmpfs", target="/fast", opts={"size": "64k", "mode": "0700"})
    size = "df -k /fast | tail -n 1 | awk '{ print $1, $2 }'"
    script = f"stat -c %a /fast; {size}; ! head -c 100k /dev/zero > /fast/x"
    sink = RecordingSink()

    step_exit = run_step(runtime, steps.step(script, mounts=(mount,)), sink)

    assert (step_exit.code, sink.stdout) == (0, b"700\ntmpfs 64\n")


@pytest.mark.parametrize(("opts", "mode"), [({}, b"1777\n"), ({"mode": "0750"}, b"750\n")])
@pytest.mark.parametrize("target", ["/fast", "/srv", "/var", "/tmp"])
def test_tmpfs_has_its_mode_also_over_a_directory_of_the_image(
    runtime: DockerRuntime, steps: StepFactory, target: str, opts: dict[str, str], mode: bytes
) -> None:
    mount = Mount(type="tmpfs", target=target, opts=opts)
    run, sink = steps.step(f"stat -c %a {target}", mounts=(mount,), workdir=target), RecordingSink()

    run_step(runtime, run, sink)

    assert sink.stdout == mode


@pytest.mark.covers("Mount.type", "Mount.source", "Mount.target")
def test_bind_mount_reads_and_writes_the_hosts_directory(
    make_runtime: RuntimeFactory, steps: StepFactory, allowed: Path
) -> None:
    (allowed / "sub" / "x").write_text("from the host")
    mount = Mount(type="bind", source=f"{allowed}/sub", target="/mounted")
    sink = RecordingSink()

    run = steps.step("cat /mounted/x; echo new > /mounted/y", mounts=(mount,))
    step_exit = run_step(make_runtime(policy=ContainerPolicy(bind_sources=(allowed,))), run, sink)

    assert (step_exit.code, sink.stdout) == (0, b"from the host")
    assert (allowed / "sub" / "y").read_text() == "new\n"


@pytest.mark.parametrize(
    ("source", "error"),
    [("/etc", "not allowed on this worker"), ("{allowed}/missing", "bind source path does not exist")],
)
def test_invalid_bind_mount_fails_the_step(
    make_runtime: RuntimeFactory, steps: StepFactory, allowed: Path, source: str, error: str
) -> None:
    mount = Mount(type="bind", source=source.format(allowed=allowed), target="/mounted")

    with pytest.raises(StepFailed, match=error):
        run_step(
            make_runtime(policy=ContainerPolicy(bind_sources=(allowed,))), steps.step("true", mounts=(mount,))
        )
