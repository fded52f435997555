"""Steps that join the network of a sandbox."""

import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import docker
import pytest
from structlog.testing import capture_logs

from tests.eventually import eventually
from tests.runtime.docker.containers import BUSYBOX, NODE, RuntimeFactory, exists, inspect
from tests.runtime.steps import (
    TIMEOUT_S,
    RecordingSink,
    StepFactory,
    in_thread,
    run_step,
    start_step,
)
from tork_celery.domain.definition import Mount
from tork_celery.domain.errors import EngineFailed, StepFailed
from tork_celery.domain.model import StepRef
from tork_celery.runtime.docker import DockerRuntime, sandbox_pool
from tork_celery.runtime.docker.policy import ContainerPolicy
from tork_celery.runtime.protocol import Detached, StepRemoved, StepRun


@pytest.fixture
def runtime(make_runtime: RuntimeFactory) -> DockerRuntime:
    return make_runtime.with_sandboxes()


def sandboxes(client: docker.APIClient, runtime: DockerRuntime) -> set[str]:
    """Return the ids of the sandboxes that the engine has."""
    labels = [f"tork.cluster={runtime._names.cluster}", "tork.sandbox"]
    return {container["Id"] for container in client.containers(all=True, filters={"label": labels})}


def sandbox_of(client: docker.APIClient, ref: StepRef) -> str:
    """Return the id of the sandbox that a step has joined; empty without one."""
    kind, _, container = inspect(client, ref)["HostConfig"]["NetworkMode"].partition(":")
    return container if kind == "container" else ""


def run_task(runtime: DockerRuntime, client: docker.APIClient, run: StepRun) -> tuple[str, bytes]:
    """Run a task of one step, as a worker does. Return the sandbox that it has joined, and its output."""
    sink = RecordingSink()
    assert run_step(runtime, run, sink).code == 0, sink.stderr
    sandbox = sandbox_of(client, run.ref)
    runtime.remove_step(run.ref)
    runtime.remove_delivery(run.ref.task_id, run.ref.delivery)
    return sandbox, sink.stdout


@pytest.fixture
def stalling_address(client: docker.APIClient) -> Iterator[str]:
    """The address of a server that reads nothing, as `HOST PORT`, which containers reach."""
    gateway = client.inspect_network("bridge")["IPAM"]["Config"][0]["Gateway"]
    accepted = []
    with closing(socket.socket()) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        listener.bind((gateway, 0))
        listener.listen()
        threading.Thread(target=lambda: accepted.append(listener.accept()), daemon=True).start()
        yield f"{gateway} {listener.getsockname()[1]}"
    for connection, _ in accepted:
        connection.close()


# A connection with so much data that the receiver does not read that the kernel keeps it.
_STALL = r"""
yes | nc {address} &
until grep -Eq ' 01 0*([2-9A-F][0-9A-F]{{3}}|[1-9A-F][0-9A-F]{{4,}}):' /proc/net/tcp; do sleep 0.05; done
"""
_LEAVE_TRACES = """
for name in hosts resolv.conf hostname; do echo 'changed by the task before' >> /etc/$name; done
echo secret > /tmp/secret; echo secret > /dev/shm/secret
nc -l -p 8000 -e true & nc -u -l -p 8001 & sleep 1000 &
until cat /proc/net/tcp /proc/net/tcp6 | grep -q :1F40; do sleep 0.05; done
"""
_LOOK = """
cat /etc/hosts /etc/resolv.conf /etc/hostname | grep changed
ls -A /tmp; ls -A /dev/shm
ps | grep -v grep | grep -E 'sleep|nc '
for name in tcp tcp6 udp udp6 raw raw6 packet; do tail -n +2 /proc/net/$name; done
cat /proc/net/unix | grep @
nc localhost 8000 < /dev/null && echo connected
ps | grep -v grep | grep -c init
"""


@pytest.mark.parametrize("with_connection", [False, True], ids=["files and servers", "connection"])
def test_two_tasks_in_turn_see_nothing_of_each_other(
    runtime: DockerRuntime,
    steps: StepFactory,
    client: docker.APIClient,
    stalling_address: str,
    with_connection: bool,
) -> None:
    stall = _STALL.format(address=stalling_address) if with_connection else ""
    first, _ = run_task(runtime, client, steps.step(_LEAVE_TRACES + stall))

    second, seen = run_task(runtime, client, steps.step(_LOOK))

    assert first
    assert second
    assert seen == b"1\n"  # its own init process only
    assert (first == second) is not with_connection


def test_steps_know_the_network_of_their_sandbox(
    runtime: DockerRuntime, steps: StepFactory, client: docker.APIClient
) -> None:
    sandbox, seen = run_task(
        runtime,
        client,
        steps.step("hostname; cat /etc/hostname /etc/hosts"),
    )

    hostname = sandbox[:12].encode()
    assert seen.splitlines()[:2] == [hostname, hostname]
    assert b"127.0.0.1\tlocalhost" in seen
    assert seen.splitlines()[-1].endswith(hostname)


def test_mount_of_a_task_replaces_a_network_file(
    make_runtime: RuntimeFactory, steps: StepFactory, client: docker.APIClient, tmp_path: Path
) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_text("10.1.2.3 office\n")
    runtime = make_runtime.with_sandboxes(policy=ContainerPolicy(bind_sources=(tmp_path,)))
    mounts = (Mount(type="bind", source=str(hosts), target="/etc//hosts"),)

    sandbox, seen = run_task(runtime, client, steps.step("cat /etc/hosts", mounts=mounts))

    assert sandbox
    assert seen == b"10.1.2.3 office\n"


def test_concurrent_steps_have_different_sandboxes(
    runtime: DockerRuntime, steps: StepFactory, client: docker.APIClient
) -> None:
    sinks, runs = [RecordingSink(), RecordingSink()], [steps.step("echo ready; sleep 300") for _ in range(2)]
    for run, sink in zip(runs, sinks, strict=True):
        start_step(runtime, run, sink)
        sink.wait_for(b"ready")

    assert len({sandbox_of(client, run.ref) for run in runs} - {""}) == 2
    for run in runs:
        runtime.kill(run.ref)


def test_step_that_finds_no_sandbox_ready_has_a_network_of_its_own(
    make_runtime: RuntimeFactory, steps: StepFactory, client: docker.APIClient
) -> None:
    runtime = make_runtime(sandbox=False)

    sandbox, seen = run_task(runtime, client, steps.step("cat /etc/hostname"))

    assert sandbox == ""
    assert seen


def test_sandboxes_are_made_when_the_first_step_starts(
    make_runtime: RuntimeFactory, steps: StepFactory, client: docker.APIClient
) -> None:
    runtime = make_runtime(sandbox=True, slots=1)
    runtime.collect_garbage(alive=set)
    assert sandboxes(client, runtime) == set()

    first, _ = run_task(runtime, client, steps.step("true"))

    assert first == ""
    eventually(lambda: len(runtime._sandboxes.pool._idle) == 2)
    assert run_task(runtime, client, steps.step("true"))[0]


def test_steps_with_networks_or_sidecars_have_networks_of_their_own(
    runtime: DockerRuntime, steps: StepFactory, client: docker.APIClient
) -> None:
    run = steps.step("true")
    sidecar = steps.sidecar("helper", "sleep 300", main=run.ref)
    with_sidecar = steps.step("true", ref=run.ref, sidecars=(sidecar,))

    assert run_step(runtime, with_sidecar).code == 0
    assert sandbox_of(client, with_sidecar.ref) == sandbox_of(client, sidecar.ref) == ""
    assert run_task(runtime, client, steps.step("true", networks=("bridge",)))[0] == ""


def test_sidecars_of_the_main_step_do_not_concern_the_sandbox_of_the_step_before(
    runtime: DockerRuntime, steps: StepFactory, client: docker.APIClient
) -> None:
    first = steps.step("true")
    main = StepRef(task_id=first.ref.task_id, delivery=1, step=1)
    sidecar = steps.sidecar("helper", "sleep 300", main=main)
    run_step(runtime, first)
    client.kill(sandbox_of(client, first.ref))

    assert run_step(runtime, steps.step("exit 3", ref=main, sidecars=(sidecar,))).code == 3


class TestRenewal:
    def test_step_that_never_starts_costs_no_sandbox(
        self, runtime: DockerRuntime, steps: StepFactory, client: docker.APIClient
    ) -> None:
        before = sandboxes(client, runtime)
        run = steps.step("true", workdir="not/absolute")
        with pytest.raises(StepFailed):
            run_step(runtime, run)
        runtime.remove_delivery(run.ref.task_id, 1)

        assert run_task(runtime, client, steps.step("true"))[0] in before
        assert sandboxes(client, runtime) == before

    def test_sandbox_of_a_running_step_is_removed_after_the_step(
        self, runtime: DockerRuntime, steps: StepFactory, client: docker.APIClient
    ) -> None:
        run, sink = steps.step("echo ready; sleep 300"), RecordingSink()
        start_step(runtime, run, sink)
        sink.wait_for(b"ready")
        sandbox = sandbox_of(client, run.ref)

        runtime.remove_delivery(run.ref.task_id, 1)

        eventually(lambda: sandbox not in sandboxes(client, runtime))
        assert not exists(client, run.ref)

    def test_steps_of_a_delivery_have_one_sandbox(
        self, runtime: DockerRuntime, steps: StepFactory, client: docker.APIClient
    ) -> None:
        task_id = steps.task_id()
        used = []
        for number in range(3):
            run = steps.step("true", ref=StepRef(task_id=task_id, delivery=1, step=number))
            run_step(runtime, run)
            used.append(sandbox_of(client, run.ref))

        assert len(set(used)) == 1
        assert used[0]

    def test_socket_that_a_step_leaves_costs_the_sandbox_before_the_next_step(
        self, runtime: DockerRuntime, steps: StepFactory, client: docker.APIClient, stalling_address: str
    ) -> None:
        task_id = steps.task_id()
        first = steps.step(
            _STALL.format(address=stalling_address), ref=StepRef(task_id=task_id, delivery=1, step=0)
        )
        second = steps.step("true", ref=StepRef(task_id=task_id, delivery=1, step=1))
        run_step(runtime, first)
        run_step(runtime, second)

        assert sandbox_of(client, first.ref) != sandbox_of(client, second.ref) != ""
        eventually(lambda: sandbox_of(client, first.ref) not in sandboxes(client, runtime))

    def test_closed_connection_costs_no_sandbox_and_blocks_no_port(
        self, runtime: DockerRuntime, steps: StepFactory, client: docker.APIClient
    ) -> None:
        listening = "until cat /proc/net/tcp /proc/net/tcp6 | grep -q ':1F40 .* 0A '; do sleep 0.05; done"
        script = f"echo served | nc -l -p 8000 > /dev/null & {listening}; echo | nc localhost 8000; wait"

        first = run_task(runtime, client, steps.step(script))
        second = run_task(runtime, client, steps.step(script))

        assert first == second
        assert first[1] == b"served\n"

    def test_sandbox_is_renewed_after_some_tasks(
        self,
        runtime: DockerRuntime,
        steps: StepFactory,
        client: docker.APIClient,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(sandbox_pool, "MOST_TASKS", 1)

        first, _ = run_task(runtime, client, steps.step("true"))
        second, _ = run_task(runtime, client, steps.step("true"))

        assert first != second
        assert second
        eventually(lambda: len(sandboxes(client, runtime)) == 2 and first not in sandboxes(client, runtime))

    def test_sandbox_is_renewed_after_each_task_where_the_worker_cannot_look(
        self, make_runtime: RuntimeFactory, steps: StepFactory, client: docker.APIClient, tmp_path: Path
    ) -> None:
        runtime = make_runtime(sandbox=True, slots=1)
        object.__setattr__(runtime._sandboxes.factory, "proc", tmp_path)
        runtime._sandboxes.pool.start()
        eventually(lambda: len(runtime._sandboxes.pool._idle) == 2)
        task_id = steps.task_id()
        refs = [StepRef(task_id=task_id, delivery=1, step=number) for number in range(2)]
        for ref in refs:
            run_step(runtime, steps.step("true", ref=ref))
        [sandbox] = {sandbox_of(client, ref) for ref in refs}
        runtime.remove_delivery(task_id, 1)
        next_sandbox, _ = run_task(runtime, client, steps.step("true"))

        assert next_sandbox not in {"", sandbox}


class TestLostSandbox:
    @pytest.mark.parametrize("removal", ["kill", "remove_container"])
    def test_success_counts_when_the_sandbox_ends_during_the_step(
        self, runtime: DockerRuntime, steps: StepFactory, client: docker.APIClient, removal: str
    ) -> None:
        run, sink = (
            steps.step("echo ready; while [ ! -e /tork/workdir/go ]; do sleep 0.05; done"),
            RecordingSink(),
        )
        future = start_step(runtime, run, sink)
        sink.wait_for(b"ready")
        options = {"force": True} if removal == "remove_container" else {}
        getattr(client, removal)(sandbox_of(client, run.ref), **options)
        (runtime._exchange.path(run.ref) / "workdir" / "go").touch()

        exit_ = future.result(TIMEOUT_S)

        assert exit_.code == 0
        assert exit_.note == "the sandbox that held the network of the step ended while the step ran"

    def test_failure_does_not_count_when_the_sandbox_ends_during_the_step(
        self, runtime: DockerRuntime, steps: StepFactory, client: docker.APIClient
    ) -> None:
        run, sink = (
            steps.step("echo ready; while [ ! -e /tork/workdir/go ]; do sleep 0.05; done; exit 3"),
            RecordingSink(),
        )
        future = start_step(runtime, run, sink)
        sink.wait_for(b"ready")
        client.kill(sandbox_of(client, run.ref))
        (runtime._exchange.path(run.ref) / "workdir" / "go").touch()

        with pytest.raises(StepRemoved, match="exit code 3 does not count"):
            future.result(TIMEOUT_S)
        runtime.reset_step(run.ref)
        again = steps.step("exit 4", ref=run.ref)
        assert run_step(runtime, again).code == 4
        assert sandbox_of(client, run.ref)

    def test_failure_counts_when_the_sandbox_ends_after_the_step(
        self,
        runtime: DockerRuntime,
        steps: StepFactory,
        client: docker.APIClient,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        note = runtime._memory_notes.note

        def note_late(ref: StepRef, code: int) -> str | None:
            client.kill(sandbox_of(client, ref))
            return note(ref, code)

        monkeypatch.setattr(
            type(runtime._memory_notes), "note", lambda _notes, ref, code: note_late(ref, code)
        )

        assert run_step(runtime, steps.step("exit 3")).code == 3

    def test_sandbox_that_ended_before_the_task_costs_nothing_but_a_new_one(
        self, runtime: DockerRuntime, steps: StepFactory, client: docker.APIClient
    ) -> None:
        lost = sandboxes(client, runtime)
        for sandbox in lost:
            client.remove_container(sandbox, force=True)
        run, sink = steps.step("true"), RecordingSink()

        exit_ = run_step(runtime, run, sink)

        assert (exit_.code, exit_.note, sink.notes) == (0, None, "")
        eventually(lambda: len(sandboxes(client, runtime)) == 2)
        assert not lost & sandboxes(client, runtime)

    @pytest.mark.parametrize("options", [None, {"force": True}], ids=["killed", "removed"])
    def test_sandbox_that_ends_before_the_start_costs_nothing_but_a_new_one(
        self,
        runtime: DockerRuntime,
        steps: StepFactory,
        client: docker.APIClient,
        monkeypatch: pytest.MonkeyPatch,
        options: dict[str, bool] | None,
    ) -> None:
        run, sink = steps.step("true"), RecordingSink()
        lost: list[str] = []
        attach = runtime._api.attach

        def attach_late(name: str) -> object:
            if not lost:
                lost.append(sandbox_of(client, run.ref))
                if options is None:
                    client.kill(lost[0])
                else:
                    client.remove_container(lost[0], **options)
            return attach(name)

        monkeypatch.setattr(type(runtime._api), "attach", lambda _api, name: attach_late(name))

        exit_ = run_step(runtime, run, sink)

        assert (exit_.code, exit_.note, sink.notes, sink.start_count) == (0, None, "", 1)
        assert lost[0] != sandbox_of(client, run.ref)


class TestRestart:
    def test_step_is_adopted_with_its_sandbox(
        self, make_runtime: RuntimeFactory, steps: StepFactory, client: docker.APIClient
    ) -> None:
        run, sink = (
            steps.step("echo ready; while [ ! -e /tork/workdir/go ]; do sleep 0.05; done; exit 6"),
            RecordingSink(),
        )
        earlier = make_runtime.with_sandboxes()
        future = start_step(earlier, run, sink)
        sink.wait_for(b"ready")
        sandbox = sandbox_of(client, run.ref)
        earlier.detach()
        assert isinstance(future.exception(TIMEOUT_S), Detached)
        earlier.close()
        assert sandboxes(client, earlier) == {sandbox}

        later = make_runtime(sandbox=True, slots=1)
        later.collect_garbage(alive=set)
        following = in_thread(lambda: later.follow(run.ref, RecordingSink()))
        (later._exchange.path(run.ref) / "workdir" / "go").touch()
        step_exit = following.result(TIMEOUT_S)
        later.remove_delivery(run.ref.task_id, 1)

        assert step_exit is not None
        assert step_exit.code == 6
        assert sandbox in {each.id for each in later._sandboxes.pool._idle}

    def test_failure_of_an_adopted_step_does_not_count_without_its_sandbox(
        self, make_runtime: RuntimeFactory, steps: StepFactory, client: docker.APIClient
    ) -> None:
        run, sink = (
            steps.step("echo ready; while [ ! -e /tork/workdir/go ]; do sleep 0.05; done; exit 6"),
            RecordingSink(),
        )
        earlier, later = make_runtime.with_sandboxes(), make_runtime()
        start_step(earlier, run, sink)
        sink.wait_for(b"ready")
        earlier.detach()
        client.remove_container(sandbox_of(client, run.ref), force=True)
        (later._exchange.path(run.ref) / "workdir" / "go").touch()

        with pytest.raises(StepRemoved):
            later.follow(run.ref, sink)

    def test_adopted_sandbox_is_removed_with_its_step_where_sandboxes_are_off(
        self, make_runtime: RuntimeFactory, steps: StepFactory, client: docker.APIClient
    ) -> None:
        run, sink = steps.step("echo ready; sleep 300"), RecordingSink()
        earlier, later = make_runtime.with_sandboxes(), make_runtime()
        start_step(earlier, run, sink)
        sink.wait_for(b"ready")
        earlier.detach()
        earlier.close()
        following = in_thread(lambda: later.follow(run.ref, RecordingSink()))
        later.kill(run.ref)
        step_exit = following.result(TIMEOUT_S)
        later.remove_delivery(run.ref.task_id, 1)

        assert step_exit is not None
        assert step_exit.code == 137
        eventually(lambda: not sandboxes(client, later))

    def test_idle_sandboxes_are_removed_with_their_node(
        self, runtime: DockerRuntime, client: docker.APIClient
    ) -> None:
        runtime.close()

        assert sandboxes(client, runtime) == set()

    def test_sandboxes_of_a_dead_node_are_removed_after_its_steps(
        self, make_runtime: RuntimeFactory, steps: StepFactory, client: docker.APIClient
    ) -> None:
        dead, other = make_runtime.with_sandboxes(), make_runtime(node="other@here")
        run, sink = steps.step("echo ready; sleep 300"), RecordingSink()
        start_step(dead, run, sink)
        sink.wait_for(b"ready")
        dead.detach()
        all_of_dead, used = sandboxes(client, dead), sandbox_of(client, run.ref)

        other.collect_garbage(alive=lambda: {NODE})
        assert sandboxes(client, dead) == all_of_dead
        other.collect_garbage(alive=set)
        eventually(lambda: sandboxes(client, dead) == {used})
        other.remove_delivery(run.ref.task_id, 1)
        eventually(lambda: not exists(client, run.ref))
        other.collect_garbage(alive=set)
        eventually(lambda: not sandboxes(client, dead))

    def test_sandbox_that_a_dead_node_was_trying_is_removed_with_its_trial(
        self, runtime: DockerRuntime, make_runtime: RuntimeFactory, client: docker.APIClient
    ) -> None:
        tried = client.inspect_container(next(iter(sandboxes(client, runtime))))
        joins = client.create_host_config(network_mode=f"container:{tried['Id']}")
        labels = tried["Config"]["Labels"]
        trial = client.create_container(BUSYBOX, "true", host_config=joins, labels=labels)["Id"]

        make_runtime(node="other@here").collect_garbage(alive=set)

        eventually(lambda: not {tried["Id"], trial} & {c["Id"] for c in client.containers(all=True)})


class TestOff:
    def reason(self, runtime: DockerRuntime) -> str:
        """Return why the runtime turns sandboxes off, from its log."""
        with capture_logs() as logged:
            runtime._sandboxes.pool.start()
            eventually(
                lambda: runtime._sandboxes.pool._thread and not runtime._sandboxes.pool._thread.is_alive()
            )
        [entry] = [entry for entry in logged if entry["event"] == "sandboxes.off"]
        assert not runtime._sandboxes.pool._idle
        return str(entry["reason"])

    def test_engine_that_does_not_see_the_files_of_this_host(
        self, make_runtime: RuntimeFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        runtime = make_runtime(sandbox=True, slots=1)
        monkeypatch.setattr(runtime._exchange, "create_trial", lambda _files: tmp_path / "elsewhere")

        assert "bind source path does not exist" in self.reason(runtime)

    @pytest.mark.parametrize(
        ("version", "reason"),
        [
            ({"Arch": "s390x"}, "there is no program for the machine type s390x"),
            ({"Arch": "amd64", "Components": [{"Name": "Podman Engine"}]}, "not tested with Podman"),
        ],
        ids=["machine", "Podman"],
    )
    def test_other_machines_and_engines(
        self,
        make_runtime: RuntimeFactory,
        monkeypatch: pytest.MonkeyPatch,
        version: dict[str, Any],
        reason: str,
    ) -> None:
        runtime = make_runtime(sandbox=True, slots=1)
        monkeypatch.setattr(type(runtime._api), "version", lambda _api: version)

        assert reason in self.reason(runtime)

    def test_engine_that_refuses_the_image(
        self, make_runtime: RuntimeFactory, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        runtime = make_runtime(sandbox=True, slots=1)
        factory = runtime._sandboxes.factory

        def refuse(_images: object, _archive: bytes, _image: str) -> None:
            raise EngineFailed("imports are forbidden", call="import the image")

        monkeypatch.setattr(type(factory.images), "import_archive", refuse)
        monkeypatch.setattr(
            "tork_celery.runtime.docker.sandbox_factory.image_name", lambda _machine: "no:image"
        )

        assert self.reason(runtime) == "imports are forbidden"
