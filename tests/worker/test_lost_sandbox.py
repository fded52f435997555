"""What the loss of the sandbox that a step has joined means for its task."""

import itertools
import uuid
from dataclasses import replace
from typing import Any, Protocol

import docker
import pytest

from tests.domain import samples
from tests.domain.samples import task_definition
from tests.eventually import eventually
from tests.runtime.docker.conftest import client, cluster, make_runtime
from tests.runtime.docker.containers import BUSYBOX, RuntimeFactory
from tests.runtime.steps import in_thread
from tests.store.stores import FlakyDatabase, store_task, task_now, text_of
from tests.worker.fakes import MakeWorker
from tork_celery.domain.model import Task
from tork_celery.domain.states import Outcome

__all__ = ["client", "cluster", "make_runtime"]

pytestmark = pytest.mark.engine

WAIT_S = 40.0


class RunTask(Protocol):
    def __call__(self, script: str, *, runs: int) -> Task:
        """Run a task whose sandbox is removed during the first of `runs` runs of its step."""


@pytest.fixture
def run_without_sandbox(
    make_worker: MakeWorker,
    make_runtime: RuntimeFactory,
    client: docker.APIClient,
    database: FlakyDatabase,
    monkeypatch: pytest.MonkeyPatch,
) -> RunTask:
    monkeypatch.setattr(samples, "_numbers", itertools.count(uuid.uuid4().int >> 8))
    runtime = make_runtime.with_sandboxes()
    worker = make_worker(runtime)

    def run(script: str, *, runs: int) -> Task:
        waiting = f"until [ -e /tork/workdir/go ]; do sleep 0.05; done; {script}"
        task = store_task(database, replace(task_definition(), image=BUSYBOX, run=waiting, cmd=()))
        running = in_thread(lambda: worker.run(task.ref))
        container = ""
        for number in range(runs):
            container, network = wait_for_other_container(client, task, container)
            if number == 0:
                client.remove_container(network.removeprefix("container:"), force=True)
            (runtime._exchange.path(task.ref) / "workdir" / "go").touch()
        running.result(WAIT_S)
        return task_now(database, task.id)

    return run


def wait_for_other_container(client: docker.APIClient, task: Task, former: str) -> tuple[str, str]:
    """Wait until another container of the task runs, and return its id and network mode."""

    def found() -> list[dict[str, Any]]:
        running = client.containers(filters={"label": f"tork.task={task.id}"})
        return [container for container in running if container["Id"] != former]

    [container] = eventually(found)
    return container["Id"], container["HostConfig"]["NetworkMode"]


def test_success_counts_and_the_log_says_so(run_without_sandbox: RunTask, database: FlakyDatabase) -> None:
    task = run_without_sandbox("echo done", runs=1)

    assert (task.outcome, task.result) == (Outcome.COMPLETED, "done\n")
    assert "the sandbox that held the network of the step ended while the step ran" in text_of(
        database, task.id
    )


def test_failed_step_runs_again_and_uses_up_no_attempt(
    run_without_sandbox: RunTask, database: FlakyDatabase
) -> None:
    task = run_without_sandbox("exit 3", runs=2)

    assert task.outcome is Outcome.FAILED
    assert task.error is not None
    assert task.error.startswith("exit code 3")
    assert task.attempts == 0
    assert "so its exit code 3 does not count; trying again" in text_of(database, task.id)
