"""How files get into a container, who may write to its directories, and how its result is read.

Each test runs with exchange directories that are mounted, as a worker of root does, and with all files in the
container, as a worker of any other user does.
"""

import os
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import docker
import pytest

from tests.eventually import eventually
from tests.runtime.docker.containers import RuntimeFactory, container_name
from tests.runtime.steps import RecordingSink, StepFactory, run_step
from tork_celery.domain.definition import Mount
from tork_celery.domain.errors import StepFailed
from tork_celery.runtime.docker import DockerRuntime
from tork_celery.runtime.docker.policy import ContainerPolicy
from tork_celery.runtime.docker.step_files import files_belong_in_container
from tork_celery.runtime.protocol import StepExit, StepRun

DATA = Mount(type="volume", target="/data")
FAST = Mount(type="tmpfs", target="/fast")


@pytest.fixture(params=[False, True], ids=["mounted", "in the container"])
def runtime(make_runtime: RuntimeFactory, request: pytest.FixtureRequest) -> DockerRuntime:
    return make_runtime(files_in_container=request.param)


def output_of(runtime: DockerRuntime, run: StepRun) -> str:
    """Run a step that succeeds; return its output."""
    sink = RecordingSink()
    step_exit = run_step(runtime, run, sink)
    assert (step_exit.code, sink.stderr) == (0, b"")
    return sink.stdout.decode()


# Files


@pytest.mark.parametrize(
    ("workdir", "mounts"),
    [
        ("/fast", (FAST,)),
        ("/fast/deep/er", (FAST,)),
        ("/dev/shm", ()),
        ("/data", (DATA,)),
        ("/data/deep/er", (DATA,)),
        ("/fast/volume", (FAST, Mount(type="volume", target="/fast/volume"))),
        ("/tork/workdir", ()),
        ("/tork/workdir/deep/er", ()),
        ("/tork", ()),
        ("/srv/deep/er", ()),
        ("/var/link/new", ()),
        ("//srv/./x/../y/", ()),
    ],
)
def test_files_arrive_in_any_work_directory(
    runtime: DockerRuntime, steps: StepFactory, workdir: str, mounts: tuple[Mount, ...]
) -> None:
    files = {"conf.ini": "a=1 ", "sub/dir/b.txt": "b=2"}
    run = steps.step(
        "cat conf.ini sub/dir/b.txt; echo x >> conf.ini; echo y > new; echo z > sub/new",
        workdir=workdir,
        mounts=mounts,
        files=files,
    )

    assert output_of(runtime, run) == "a=1 b=2"


@pytest.mark.parametrize("image_with_link", ["/fast"], indirect=True)
def test_files_behind_a_link_into_memory_are_refused(
    runtime: DockerRuntime, steps: StepFactory, image_with_link: str
) -> None:
    run = steps.step("true", image=image_with_link, workdir="/link/x", mounts=(FAST,), files={"a": "b"})

    with pytest.raises(
        StepFailed, match=r"workdir /link/x is /fast/x, in a file system in memory.*; name /fast/x"
    ):
        run_step(runtime, run)


@pytest.mark.parametrize("image_with_link", ["/usr"], indirect=True)
def test_files_arrive_behind_a_link(runtime: DockerRuntime, steps: StepFactory, image_with_link: str) -> None:
    run = steps.step("cat a d/b; cat /usr/x/a; stat -c %F /link", image=image_with_link, workdir="/link/x",
                     files={"a": "A", "d/b": "B"})  # fmt: skip

    assert output_of(runtime, run) == "ABAsymbolic link\n"


@pytest.mark.parametrize("workdir", [None, "/srv", "/fast"])
def test_files_are_new(runtime: DockerRuntime, steps: StepFactory, workdir: str | None) -> None:
    """Archives and `make` refuse files of 1970, or take them for outdated."""
    before = int(time.time()) - 1
    run = steps.step("stat -c %Y a d d/b", workdir=workdir, mounts=(FAST,), files={"a": "", "d/b": ""})

    modified = [int(line) for line in output_of(runtime, run).split()]

    assert all(before <= at <= time.time() for at in modified)


def test_files_in_a_directory_of_the_image_keep_its_permissions(
    runtime: DockerRuntime, steps: StepFactory
) -> None:
    run = steps.step("cat x; stat -c %a /tmp /var", workdir="/tmp", files={"x": "in tmp "})

    assert output_of(runtime, run) == "in tmp 1777\n755\n"


# Users


@pytest.mark.parametrize("derived_image", ["USER 1000"], indirect=True)
@pytest.mark.parametrize(
    ("workdir", "mounts"),
    [
        (None, ()),
        ("/srv/x", ()),
        ("/var", ()),
        ("/data", (DATA,)),
        ("/data/x", (DATA,)),
        ("/tork/workdir/x", ()),
        ("/fast", (FAST,)),
    ],
)
def test_any_user_can_write_to_the_work_directory(
    runtime: DockerRuntime,
    steps: StepFactory,
    derived_image: str,
    workdir: str | None,
    mounts: tuple[Mount, ...],
) -> None:
    run = steps.step(
        "id -u; cat a/b.txt; touch new; echo c >> a/b.txt; echo done > $TORK_OUTPUT",
        image=derived_image,
        workdir=workdir,
        mounts=mounts,
        files={"a/b.txt": "hello"},
    )
    sink = RecordingSink()

    step_exit = run_step(runtime, run, sink)

    assert (step_exit.code, sink.stderr, step_exit.output) == (0, b"", b"done\n")
    assert sink.stdout == b"1000\nhello"


@pytest.mark.parametrize("derived_image", ["USER 1000"], indirect=True)
def test_any_user_can_write_to_a_work_directory_without_files(
    runtime: DockerRuntime, steps: StepFactory, derived_image: str
) -> None:
    run = steps.step("pwd; touch new", image=derived_image, workdir="/srv/x")

    assert output_of(runtime, run) == "/srv/x\n"


@pytest.mark.parametrize("derived_image", ["USER 1000"], indirect=True)
@pytest.mark.parametrize("target", ["/data", "/var", "/tmp"])
def test_any_user_can_write_to_a_volume_that_root_used_before(
    runtime: DockerRuntime, steps: StepFactory, derived_image: str, target: str
) -> None:
    mounts = (Mount(type="volume", target=target),)
    pre = steps.step(f"echo precious > {target}/f", mounts=mounts)
    main = steps.step(
        f"cat {target}/f; touch {target}/new",
        image=derived_image,
        mounts=mounts,
        ref=replace(pre.ref, step=1),
    )

    output_of(runtime, pre)

    assert output_of(runtime, main) == "precious\n"


@pytest.mark.parametrize("derived_image", ["USER 1000"], indirect=True)
def test_empty_volume_stays_writable_for_the_next_step(
    runtime: DockerRuntime, steps: StepFactory, derived_image: str
) -> None:
    """The engine gives an empty volume the permissions that its directory has in each image."""
    mounts = (Mount(type="volume", target="/var"),)
    pre = steps.step("rm -rf /var/*", mounts=mounts)
    output_of(runtime, pre)

    for step in (1, 2):
        ref = replace(pre.ref, step=step)
        main = steps.step(
            "stat -c %a /var; touch /var/x; rm /var/x", image=derived_image, mounts=mounts, ref=ref
        )
        assert output_of(runtime, main) == "777\n"


def test_private_directory_of_the_image_stays_private(runtime: DockerRuntime, steps: StepFactory) -> None:
    run = steps.step("stat -c %a /root", mounts=(Mount(type="volume", target="/root"),))

    assert output_of(runtime, run) == "700\n"


@pytest.mark.parametrize("derived_image", ["USER 1000"], indirect=True)
def test_permissions_of_a_bind_mount_are_kept(
    make_runtime: RuntimeFactory, steps: StepFactory, derived_image: str, tmp_path: Path
) -> None:
    (tmp_path / "host" / "below").mkdir(mode=0o755, parents=True)
    mounts = (Mount(type="bind", source=str(tmp_path / "host"), target="/host"),)
    runtime = make_runtime(policy=ContainerPolicy(bind_sources=(tmp_path,)))
    run = steps.step("cat a", image=derived_image, workdir="/host/below", mounts=mounts, files={"a": "b"})

    assert output_of(runtime, run) == "b"
    assert (tmp_path / "host" / "below").stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize(
    ("user", "flags", "expected"), [(0, 0, False), (1000, 0, True), (0, os.ST_NOEXEC, True)]
)
def test_user_and_file_system_of_the_worker_decide_where_files_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, user: int, flags: int, expected: bool
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: user)
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_flag=flags))

    assert files_belong_in_container(tmp_path / "not yet" / "there") is expected


# Results


@pytest.mark.parametrize(
    "script",
    [
        "t=$(mktemp); echo RESULT > $t; mv $t $TORK_OUTPUT",
        "rm $TORK_OUTPUT; umask 077; echo RESULT > $TORK_OUTPUT",
        "echo RESULT > $TORK_OUTPUT; chmod 000 $TORK_OUTPUT; chmod 700 /tork",
    ],
)
def test_result_that_only_root_can_read_is_read(
    runtime: DockerRuntime, steps: StepFactory, script: str
) -> None:
    step_exit = run_step(runtime, steps.step(f"{script}; echo stdout"))

    assert step_exit == StepExit(code=0, output=b"RESULT\n")


def test_unreadable_result_in_an_exchange_directory_is_read_by_the_engine(
    make_runtime: RuntimeFactory, steps: StepFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker was root when the step started, and is not any longer. The tests may run as root."""
    runtime = make_runtime(files_in_container=False)

    def refuse(*_: object) -> bytes | None:
        raise PermissionError

    monkeypatch.setattr(runtime._exchange, "output", refuse)

    assert run_step(runtime, steps.step("echo RESULT > $TORK_OUTPUT")).output == b"RESULT\n"


def test_nothing_is_left_of_directories_that_root_made(
    runtime: DockerRuntime, steps: StepFactory, client: docker.APIClient
) -> None:
    script = "mkdir -p /tork/cache/a; echo x > /tork/cache/a/f; chown 0:0 /tork; chmod 700 /tork"
    run = steps.step(script, mounts=(FAST,), workdir="/fast", files={"a": "b"})
    run_step(runtime, run)

    runtime.remove_step(run.ref)
    runtime.remove_delivery(run.ref.task_id, 1)

    eventually(lambda: not list(runtime.leftovers()))
    assert not client.containers(all=True, filters={"name": container_name(run.ref)})
