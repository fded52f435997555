"""A worker stores what its steps do and wait for, and the parts add up to the time of the task."""

from collections.abc import Sequence

import pytest

from tests.domain.samples import task_definition
from tests.eventually import eventually
from tests.services.fakes import FakeDispatcher
from tests.store.stores import FlakyDatabase, change, seconds_now, store_task, task_now, tasks_of
from tests.worker.fakes import NODE, FakeRuntime, MakeWorker, StepCall, run_until_finished, running_step
from tork_celery.domain import segments, transitions
from tork_celery.domain.definition import Retry
from tork_celery.domain.errors import EngineUnavailable
from tork_celery.domain.model import StepRef, Task
from tork_celery.domain.segments import Segment, SegmentKind
from tork_celery.domain.states import TaskState
from tork_celery.runtime.protocol import AlreadyStarted, StepExit
from tork_celery.services import due_retries
from tork_celery.services.advance import advance
from tork_celery.services.context import ServiceContext
from tork_celery.store import tasks
from tork_celery.worker.worker import Worker

SECRET = "s3cr3t-v4lue"


def segments_of(database: FlakyDatabase, *attempts: Task) -> list[Segment]:
    return segments.of_attempts(attempts, now=seconds_now(database))


def kinds_of(found: Sequence[Segment]) -> list[str]:
    return [str(segment.kind) for segment in found]


def lose(database: FlakyDatabase, task_id: str) -> Task:
    """Redeliver a task as the sweep does when its lease has expired."""
    with database.transaction() as tx:
        task = task_now(database, task_id)
        lost = transitions.redeliver(task, now=database.now(tx), lease_s=30.0)
        tasks.save(tx, [lost])
    return lost


def pull_and_run(call: StepCall) -> StepExit:
    call.runtime.runs[-1].pulling("image busybox")
    call.runtime.runs[-1].pulling("image busybox: 1 of 2 layers are ready")
    call.runtime.runs[-1].pulling(None)
    return run_until_finished(call)


def test_heartbeat_stores_what_a_step_does(make_worker: MakeWorker, database: FlakyDatabase) -> None:
    runtime = FakeRuntime(pull_and_run)
    task = store_task(database)
    worker = make_worker(runtime)

    with running_step(worker, runtime, task.ref):
        worker.renew_leases()
        now = task_now(database, task.id)

        assert segments_of(database, now)[-1].kind is SegmentKind.RUNNING
        assert [mark.kind for mark in segments._marks(now, None)][2:] == [
            "starting",
            "pulling",
            "starting",
            "running",
        ]


def test_progress_of_a_pull_is_stored_and_masked(make_worker: MakeWorker, database: FlakyDatabase) -> None:
    pulled: list[str] = []

    def pull(call: StepCall) -> StepExit:
        call.runtime.runs[-1].pulling(f"image {SECRET}: 1 of 2 layers are ready")
        worker.renew_leases()
        pulled.append(task_now(database, task.id).note)
        return StepExit(code=0)

    task = store_task(database, task_definition(env={"PASSWORD": SECRET}))
    worker = make_worker(FakeRuntime(pull))

    worker.run(task.ref)

    done = task_now(database, task.id)
    assert pulled == ["image [REDACTED]: 1 of 2 layers are ready"]
    assert SECRET not in done.marks
    assert done.note == ""


def test_engine_that_is_away_is_a_segment(make_worker: MakeWorker, database: FlakyDatabase) -> None:
    notes: list[str] = []

    def note_and_run(call: StepCall) -> StepExit:
        worker.renew_leases()
        notes.append(task_now(database, task.id).marks)
        return run_until_finished(call)

    runtime = FakeRuntime(EngineUnavailable("the engine is away"), note_and_run)
    task = store_task(database)
    worker = make_worker(runtime)

    with running_step(worker, runtime, task.ref):
        pass

    assert '"engine_away"' in notes[0]
    done = task_now(database, task.id)
    assert "engine_away" in kinds_of(segments_of(database, done))


def test_steps_are_separated(make_worker: MakeWorker, database: FlakyDatabase) -> None:
    task = store_task(database, task_definition(pre=1))
    worker = make_worker(FakeRuntime(run_and_end))

    for step in (0, 1):
        worker.run(StepRef(task_id=task.id, delivery=1, step=step))

    marks = [mark.kind for mark in segments._marks(task_now(database, task.id), None)]
    assert marks[2:] == ["starting", "running", "between_steps", "starting", "running"]


def run_and_end(call: StepCall) -> StepExit:
    call.started()
    return StepExit(code=0)


def fail(call: StepCall) -> StepExit:
    call.started()
    return StepExit(code=1)


def test_segments_of_a_task_that_was_retried_lost_and_adopted_add_up(
    make_worker: MakeWorker, database: FlakyDatabase, dispatcher: FakeDispatcher
) -> None:
    context = ServiceContext(database=database, dispatcher=dispatcher, lease_s=30.0)
    retry = Retry(limit=1, initial_delay="10ms")
    first = store_task(database, task_definition(retry=retry))
    make_worker(FakeRuntime(fail)).run(first.ref)
    advance(context, first.id, 1)
    eventually(lambda: due_retries.schedule_due(context) is None)
    second = tasks_of(database, first.job_id)[1]
    run_and_lose(make_worker, database, second)
    worker = run_adopted(make_worker, database, task_now(database, second.id))
    worker.run(task_now(database, second.id).ref)

    attempts = tasks_of(database, first.job_id)
    found = segments_of(database, *attempts)

    ended_at = attempts[1].ended_at
    assert ended_at is not None
    total_s = ended_at - attempts[0].created_at
    assert sum(segment.end - segment.start for segment in found) == pytest.approx(total_s, rel=0.01, abs=0.05)
    kinds = kinds_of(found)
    assert {"retry", "replacing"} <= set(kinds)
    assert any("follows it again" in segment.reason for segment in found)


def run_and_lose(make_worker: MakeWorker, database: FlakyDatabase, task: Task) -> None:
    """Run a task on a worker that is taken for lost."""
    runtime = FakeRuntime(run_until_finished)
    worker = make_worker(runtime)
    with running_step(worker, runtime, task.ref):
        worker.renew_leases()
        now = seconds_now(database)
        change(database, task_now(database, task.id), lease_until=now + 29.999)
        lose(database, task.id)


def run_adopted(make_worker: MakeWorker, database: FlakyDatabase, task: Task) -> Worker:
    """Claim a task for an earlier process of the node, and return a worker that adopts it."""
    started = {"state": TaskState.RUNNING, "node": NODE, "step_running": True}
    change(database, task, **started, lease_until=seconds_now(database) + 30.0)
    worker = make_worker(FakeRuntime(AlreadyStarted("before"), followed=[run_and_end]))
    worker.recover()
    return worker
