"""A worker claims a step, runs it and stores its outcome."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.domain.samples import task_definition
from tests.eventually import eventually
from tests.store.stores import FlakyDatabase, job_now, output_of, store_task, system_lines, task_now, text_of
from tests.worker.fakes import (
    NODE,
    FakeRuntime,
    MakeWorker,
    StepCall,
    run_until_finished,
    running_step,
    succeed,
)
from tork_celery.domain.definition import Defaults, Limits, Mount, Probe, Sidecar, StepDefinition
from tork_celery.domain.errors import StepFailed
from tork_celery.domain.model import StepRef
from tork_celery.domain.states import JobState, Outcome, TaskState
from tork_celery.runtime.protocol import StepExit, Stream
from tork_celery.worker.worker import ChainAction


def printing(text: str, *, code: int = 0, output: bytes | None = None) -> Callable[[StepCall], StepExit]:
    def program(call: StepCall) -> StepExit:
        call.started()
        call.print(text)
        return StepExit(code=code, output=output)

    return program


def test_task_with_one_step_succeeds(make_worker: MakeWorker, database: FlakyDatabase) -> None:
    runtime = FakeRuntime(printing("hello\n"))
    task = store_task(database)

    assert make_worker(runtime).run(task.ref) is ChainAction.NEXT

    done = task_now(database, task.id)
    assert (done.state, done.outcome, done.result) == (TaskState.RUNNING, Outcome.COMPLETED, "hello\n")
    assert (done.node, done.step, done.step_running) == (NODE, 1, False)
    assert text_of(database, task.id) == "hello\n"
    assert job_now(database, task.job_id).state is JobState.RUNNING
    assert (runtime.removed_steps, runtime.removed_deliveries) == ([task.ref], [(task.id, 1)])


def test_result_is_the_output_file_rather_than_stdout(
    make_worker: MakeWorker, database: FlakyDatabase
) -> None:
    task = store_task(database)

    make_worker(FakeRuntime(printing("printed", output=b"written"))).run(task.ref)

    assert task_now(database, task.id).result == "written"


def test_volumes_are_kept_until_the_last_step(make_worker: MakeWorker, database: FlakyDatabase) -> None:
    runtime = FakeRuntime(printing("of the first step"), printing("of the main step"), succeed)
    task = store_task(database, task_definition(pre=1, post=1))
    worker = make_worker(runtime)

    actions = [worker.run(StepRef(task_id=task.id, delivery=1, step=step)) for step in (0, 1)]

    between = task_now(database, task.id)
    assert actions == [ChainAction.NEXT, ChainAction.NEXT]
    assert (between.step, between.outcome, between.result) == (2, None, "of the main step")
    assert runtime.removed_deliveries == []

    assert worker.run(between.ref) is ChainAction.NEXT
    done = task_now(database, task.id)
    assert (done.outcome, done.result) == (Outcome.COMPLETED, "of the main step")
    assert runtime.removed_deliveries == [(task.id, 1)]


def test_failed_step_fails_its_task(make_worker: MakeWorker, database: FlakyDatabase) -> None:
    runtime = FakeRuntime(printing("no such file\n", code=2))
    task = store_task(database, task_definition(pre=1))

    assert make_worker(runtime).run(task.ref) is ChainAction.ADVANCE

    failed = task_now(database, task.id)
    assert (failed.outcome, failed.error) == (Outcome.FAILED, "exit code 2: no such file")
    assert output_of(database, task.id) == "no such file\n"
    assert system_lines(database, task.id) == ["exit code 2"]
    assert (runtime.removed_steps, runtime.removed_deliveries) == ([task.ref], [(task.id, 1)])


def test_log_says_that_a_step_exceeded_its_memory(make_worker: MakeWorker, database: FlakyDatabase) -> None:
    task = store_task(database)

    make_worker(FakeRuntime(StepExit(code=137, note="exceeded its memory limit of 8m"))).run(task.ref)

    assert system_lines(database, task.id) == ["exit code 137: exceeded its memory limit of 8m"]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, []),
        ({"delivery": 2}, ["delivery 2: the task starts from its first step"]),
        ({"attempts": 1}, ["attempt 2: the attempt before it failed"]),
    ],
)
def test_log_of_a_delivery_or_attempt_says_which_it_is(
    make_worker: MakeWorker, database: FlakyDatabase, values: dict[str, int], expected: list[str]
) -> None:
    task = store_task(database, task_definition(post=1), **values)
    worker = make_worker(FakeRuntime())

    worker.run(task.ref)
    worker.run(replace(task.ref, step=1))

    assert system_lines(database, task.id) == expected


def test_log_says_that_a_step_timed_out(make_worker: MakeWorker, database: FlakyDatabase) -> None:
    task = store_task(database, task_definition(timeout="1ms"))

    make_worker(FakeRuntime(run_until_finished)).run(task.ref)

    assert system_lines(database, task.id) == ["the step is killed: timed out after 1ms"]


def test_step_that_can_never_run_logs_the_reason(make_worker: MakeWorker, database: FlakyDatabase) -> None:
    task = store_task(database)

    action = make_worker(FakeRuntime(StepFailed("there is no image 'nope'"))).run(task.ref)

    assert action is ChainAction.ADVANCE
    assert task_now(database, task.id).error == "there is no image 'nope'"
    assert text_of(database, task.id) == "there is no image 'nope'\n"


def test_log_has_both_streams_in_order(make_worker: MakeWorker, database: FlakyDatabase) -> None:
    def program(call: StepCall) -> StepExit:
        call.print("pulling\n", Stream.NOTE)
        call.print("out\n")
        call.print("err\n", Stream.STDERR)
        call.print("out again\n")
        return StepExit(code=0)

    task = store_task(database)
    make_worker(FakeRuntime(program)).run(task.ref)

    assert text_of(database, task.id) == "pulling\nout\nerr\nout again\n"
    assert task_now(database, task.id).result == "out\nout again\n"


def test_output_is_stored_while_the_step_runs(make_worker: MakeWorker, database: FlakyDatabase) -> None:
    def program(call: StepCall) -> StepExit:
        call.print("started\n")
        return run_until_finished(call)

    runtime = FakeRuntime(program)
    task = store_task(database)
    with running_step(make_worker(runtime), runtime, task.ref):
        eventually(lambda: text_of(database, task.id) == "started\n")


@pytest.mark.covers("Limits.cpus", "Task.limits", "Task.volumes", "Task.mounts", "Task.networks")
def test_runtime_receives_the_definition_of_a_step(make_worker: MakeWorker, database: FlakyDatabase) -> None:
    pre = StepDefinition(image="alpine", env={"A": "of the step"}, timeout="5s")
    definition = replace(
        task_definition(),
        pre=(pre,),
        env={"A": "of the task"},
        workdir="/work",
        mounts=(Mount(type="volume", target="/data"),),
        volumes=("/short",),
        limits=Limits(cpus="0.5"),
        networks=("office",),
        gpus="all",
    )
    runtime = FakeRuntime()
    task = store_task(database, definition)
    worker = make_worker(runtime)

    for step in (0, 1):
        worker.run(StepRef(task_id=task.id, delivery=1, step=step))

    first, main = runtime.runs
    mounts = (Mount(type="volume", target="/data"), Mount(type="volume", target="/short"))
    assert (first.definition, first.env, first.workdir) == (pre, {"A": "of the step"}, None)
    assert (main.definition.image, main.env, main.workdir) == ("busybox", {"A": "of the task"}, "/work")
    assert (first.mounts, main.mounts) == (mounts, mounts)
    assert (first.limits, main.limits) == (Limits(cpus="0.5"), Limits(cpus="0.5"))
    assert (first.networks, main.networks) == (("office",), ("office",))
    assert (first.gpus, main.gpus) == (None, "all")
    assert (first.job_id, main.job_id) == (task.job_id, task.job_id)


def test_sidecars_belong_to_the_main_step_and_are_numbered_after_all_steps(
    make_worker: MakeWorker, database: FlakyDatabase
) -> None:
    sidecars = tuple(
        Sidecar(name=name, image="busybox", env={"A": name}, probe=Probe(path="/", port=port))
        for name, port in (("one", 1), ("two", 2))
    )
    limits, networks, mounts = Limits(cpus="1"), ("office",), (Mount(type="volume", target="/data"),)
    definition = replace(
        task_definition(pre=1, post=1), sidecars=sidecars, limits=limits, networks=networks, mounts=mounts
    )
    runtime = FakeRuntime()
    task = store_task(database, definition)
    worker = make_worker(runtime)
    refs = [StepRef(task_id=task.id, delivery=1, step=step) for step in range(5)]

    for ref in refs[:3]:
        worker.run(ref)

    pre, main, post = runtime.runs
    assert (pre.sidecars, post.sidecars) == ((), ())
    assert [run.ref for run in main.sidecars] == refs[3:]
    assert [(run.definition, run.env, run.probe) for run in main.sidecars] == [
        (sidecar, sidecar.env, sidecar.probe) for sidecar in sidecars
    ]
    for run in main.sidecars:
        assert (run.limits, run.networks, run.mounts) == (limits, networks, mounts)
    assert runtime.removed_steps == [refs[0], refs[3], refs[4], refs[1], refs[2]]


@pytest.mark.covers("Step.timeout")
@pytest.mark.parametrize("limit", ["0.01s", "1ms"])
def test_task_is_killed_after_its_timeout(
    make_worker: MakeWorker, database: FlakyDatabase, limit: str
) -> None:
    runtime = FakeRuntime(run_until_finished)
    task = store_task(database, task_definition(timeout=limit))

    assert make_worker(runtime).run(task.ref) is ChainAction.ADVANCE

    assert task_now(database, task.id).error == f"timed out after {limit}"
    assert runtime.killed == [task.ref]


@pytest.mark.covers("Step.timeout")
def test_step_is_killed_after_its_timeout(make_worker: MakeWorker, database: FlakyDatabase) -> None:
    step = StepDefinition(image="busybox", timeout="1ms")
    task = store_task(database, replace(task_definition(timeout="1h"), pre=(step,)))

    assert make_worker(FakeRuntime(run_until_finished)).run(task.ref) is ChainAction.ADVANCE

    failed = task_now(database, task.id)
    assert failed.error == "timed out after 1ms"
    assert failed.deadline_at is not None


def test_timeout_of_a_task_counts_from_its_first_container(
    make_worker: MakeWorker, database: FlakyDatabase
) -> None:
    task = store_task(database, task_definition(pre=1, timeout="1h"))
    worker = make_worker(FakeRuntime())

    worker.run(task.ref)
    first = task_now(database, task.id)
    worker.run(first.ref)

    assert first.deadline_at is not None
    assert task_now(database, task.id).deadline_at == first.deadline_at


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, Limits(cpus="1", memory="64m")),
        (Limits(cpus="4"), Limits(cpus="4", memory="64m")),
        (Limits(cpus="4", memory="1g"), Limits(cpus="4", memory="1g")),
    ],
)
def test_default_limits_apply_to_missing_limits(
    make_worker: MakeWorker, database: FlakyDatabase, given: Limits | None, expected: Limits
) -> None:
    runtime = FakeRuntime()
    task = store_task(database, replace(task_definition(), limits=given))

    make_worker(runtime, defaults=Defaults(limits=Limits(cpus="1", memory="64m"))).run(task.ref)

    assert runtime.runs[0].limits == expected


@pytest.mark.parametrize(("given", "expected"), [(None, "10ms"), ("20ms", "20ms")])
def test_default_timeout_applies_to_a_task_without_one(
    make_worker: MakeWorker, database: FlakyDatabase, given: str | None, expected: str
) -> None:
    task = store_task(database, task_definition(timeout=given))

    make_worker(FakeRuntime(run_until_finished), defaults=Defaults(timeout="10ms")).run(task.ref)

    assert task_now(database, task.id).error == f"timed out after {expected}"
