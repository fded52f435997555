"""Composites and subjobs in the datastore. The sweep goes on where a crash or a lost message stopped."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest
from sqlalchemy import text

from tests.domain.samples import job_definition, task_definition
from tests.services.fakes import FakeDispatcher
from tests.store.stores import CuttableDatabase, change, job_now, task_now, tasks_of
from tork_celery.domain.definition import Each, JobDefinition, Parallel, Subjob, TaskDefinition
from tork_celery.domain.errors import WrongState
from tork_celery.domain.model import Task
from tork_celery.domain.planner import MAX_STARTED_CHILDREN
from tork_celery.domain.states import JobState, Outcome, TaskState
from tork_celery.services import job_control
from tork_celery.services.advance import advance, start_children
from tork_celery.services.context import ServiceContext
from tork_celery.services.job_control import cancel_subjob
from tork_celery.services.recovery_sweep import RecoverySweep
from tork_celery.services.submit import submit
from tork_celery.store import jobs, tasks

MANY = MAX_STARTED_CHILDREN + 10

SUBJOB = TaskDefinition(name="sub", subjob=Subjob(name="inner", tasks=(task_definition(name="in"),)))
BOTH = TaskDefinition(name="both", parallel=Parallel(tasks=(task_definition(name="beside"), SUBJOB)))


def each(items: str, *, concurrency: int = 0) -> JobDefinition:
    loop = Each(list=items, task=task_definition(name="{{ item.value }}"), concurrency=concurrency)
    return job_definition(TaskDefinition(name="each", each=loop))


@pytest.fixture
def end(context: ServiceContext, database: CuttableDatabase) -> Callable[[Task, Outcome], None]:
    """The task was claimed and has ended so."""

    def ended(task: Task, outcome: Outcome) -> None:
        change(database, task, state=TaskState.RUNNING, node="n", outcome=outcome, ended_at=5.0, error="e")
        advance(context, task.id, task.delivery)

    return ended


@pytest.fixture
def named(dispatcher: FakeDispatcher) -> Callable[[str], Task]:
    """The task of that name which was sent."""
    return lambda name: next(task for task in dispatcher.sent if task.definition.name == name)


def states(database: CuttableDatabase, job_id: str) -> Counter[TaskState]:
    return Counter(task.state for task in tasks_of(database, job_id))


def test_children_are_stored_and_sent(
    context: ServiceContext, database: CuttableDatabase, dispatcher: FakeDispatcher
) -> None:
    job, parent = submit(context, each("[7, 8, 9]", concurrency=2))

    assert [task.definition.name for task in dispatcher.sent] == ["7", "8"]
    assert job_now(database, job.id).state is JobState.RUNNING
    stored = task_now(database, parent.id)
    assert (stored.size, stored.started_children, stored.completions) == (3, 2, 0)
    waiting = [task for task in tasks_of(database, job.id) if task.state is TaskState.CREATED]
    assert [(task.index, task.scope) for task in waiting] == [(2, {"item": {"index": "2", "value": 9}})]


def test_a_child_that_is_done_makes_room_for_the_next(
    context: ServiceContext,
    database: CuttableDatabase,
    dispatcher: FakeDispatcher,
    end: Callable[[Task, Outcome], None],
) -> None:
    job, _ = submit(context, each("sequence(0, 5)", concurrency=2))
    for number in range(5):
        assert len(dispatcher.sent) == min(number + 2, 5)
        end(dispatcher.sent[number], Outcome.COMPLETED)
    assert states(database, job.id) == {TaskState.COMPLETED: 6}
    assert job_now(database, job.id).state is JobState.COMPLETED


def test_a_long_list_is_sent_part_by_part(
    context: ServiceContext, dispatcher: FakeDispatcher, database: CuttableDatabase
) -> None:
    job, parent = submit(context, each(f"sequence(0, {MANY})"))
    assert (len(dispatcher.sent), dispatcher.starting_children) == (MAX_STARTED_CHILDREN, [parent.id])

    start_children(context, parent.id)
    start_children(context, parent.id)

    assert sorted(int(task.definition.name or "") for task in dispatcher.sent) == list(range(MANY))
    assert states(database, job.id) == {TaskState.RUNNING: 1, TaskState.SCHEDULED: MANY}


def test_the_sweep_goes_on_with_a_list_whose_message_was_lost(
    context: ServiceContext, dispatcher: FakeDispatcher
) -> None:
    submit(context, each(f"sequence(0, {MANY})"))

    RecoverySweep(context).sweep()

    assert len({task.id for task in dispatcher.sent}) == MANY


def test_a_failure_stops_what_runs_beside_it(
    context: ServiceContext,
    database: CuttableDatabase,
    dispatcher: FakeDispatcher,
    end: Callable[[Task, Outcome], None],
) -> None:
    job, _ = submit(context, each("[1, 2, 3]"))
    first, second, _ = dispatcher.sent
    change(database, second, state=TaskState.RUNNING, node="other@here", step_running=True)

    end(first, Outcome.FAILED)

    assert states(database, job.id) == {TaskState.FAILED: 2, TaskState.STOPPED: 2}
    assert job_now(database, job.id).error == "e"
    assert [task.id for task in dispatcher.killed] == [second.id]
    with database.reading() as tx:
        assert tasks.ended_early(tx, [second.id]) == {second.id}, "so its node finds out by itself"


def test_the_job_goes_on_when_its_subjob_has_ended(
    context: ServiceContext,
    database: CuttableDatabase,
    named: Callable[[str], Task],
    end: Callable[[Task, Outcome], None],
) -> None:
    job, parent = submit(context, job_definition(SUBJOB, task_definition(name="next")))
    inner = job_now(database, named("in").job_id)
    assert (inner.parent_id, inner.definition.name) == (parent.id, "inner")

    end(named("in"), Outcome.COMPLETED)

    assert task_now(database, parent.id).state is TaskState.COMPLETED
    assert named("next").job_id == job.id


def test_the_sweep_finds_a_subjob_that_ended_unheard(
    context: ServiceContext, database: CuttableDatabase, named: Callable[[str], Task]
) -> None:
    job, _ = submit(context, job_definition(SUBJOB))
    _set_state(database, named("in").job_id, JobState.COMPLETED)

    RecoverySweep(context).sweep()

    assert job_now(database, job.id).state is JobState.COMPLETED


def test_the_sweep_ends_a_subjob_whose_parent_has_stopped(
    context: ServiceContext, database: CuttableDatabase, named: Callable[[str], Task]
) -> None:
    _, parent = submit(context, job_definition(SUBJOB))
    change(database, task_now(database, parent.id), state=TaskState.STOPPED)

    RecoverySweep(context).sweep()

    assert job_now(database, named("in").job_id).state is JobState.CANCELLED


def test_neither_of_two_jobs_goes_while_the_other_needs_it(
    context: ServiceContext, database: CuttableDatabase, named: Callable[[str], Task]
) -> None:
    job, _ = submit(context, job_definition(SUBJOB))
    inner_id = named("in").job_id

    _set_state(database, inner_id, JobState.COMPLETED)
    with pytest.raises(WrongState, match="a job that waits for it"):
        job_control.delete(context, inner_id)
    _set_state(database, inner_id, JobState.RUNNING)
    _set_state(database, job.id, JobState.CANCELLED)
    with pytest.raises(WrongState, match="or one that it began, is still active"):
        job_control.delete(context, job.id)

    job_control.cancel(context, inner_id)
    job_control.delete(context, job.id)


def test_a_bug_about_one_job_keeps_the_sweep_from_no_other(
    context: ServiceContext, database: CuttableDatabase, dispatcher: FakeDispatcher
) -> None:
    for _ in range(2):
        submit(context, job_definition(task_definition()))
    broken, well = dispatcher.sent
    for task in (broken, well):
        change(database, task, state=TaskState.RUNNING, outcome=Outcome.COMPLETED, ended_at=5.0)
    with database.transaction() as tx:
        broken_row = {"id": broken.job_id}
        tx.execute(text("UPDATE job_definitions SET definition = '{}' WHERE job_id = :id"), broken_row)

    RecoverySweep(context).sweep()

    assert job_now(database, well.job_id).state is JobState.COMPLETED
    with database.transaction() as tx:
        jobs.remove(tx, broken.job_id)


@pytest.mark.parametrize("cancelled", ["outer", "inner"])
def test_cancelling_goes_down_and_up(
    context: ServiceContext,
    database: CuttableDatabase,
    dispatcher: FakeDispatcher,
    named: Callable[[str], Task],
    cancelled: str,
) -> None:
    job, _ = submit(context, job_definition(BOTH))
    inner_id = named("in").job_id

    job_control.cancel(context, job.id if cancelled == "outer" else inner_id)
    for job_id in dispatcher.cancelled_subjobs:
        cancel_subjob(context, job_id)

    assert job_now(database, job.id).state is job_now(database, inner_id).state is JobState.CANCELLED
    assert set(states(database, job.id)) == set(states(database, inner_id)) == {TaskState.CANCELLED}


def test_a_broker_that_is_away_is_asked_once_for_all_that_follows(
    context: ServiceContext, dispatcher: FakeDispatcher
) -> None:
    """Each try may take seconds, and a client waits."""
    dispatcher.away = True

    job, _ = submit(context, job_definition(BOTH))
    assert dispatcher.refused == 1

    job_control.cancel(context, job.id)
    assert dispatcher.refused == 2


def test_restarting_a_subjob_restarts_the_job_that_waited_for_it(
    context: ServiceContext,
    database: CuttableDatabase,
    dispatcher: FakeDispatcher,
    named: Callable[[str], Task],
    end: Callable[[Task, Outcome], None],
) -> None:
    job, _ = submit(context, job_definition(SUBJOB))
    first = named("in")
    end(first, Outcome.FAILED)
    assert job_now(database, job.id).state is JobState.FAILED

    job_control.restart(context, first.job_id)

    again = dispatcher.sent[-1]
    assert (again.definition.name, again.job_id == first.job_id) == ("in", False)
    assert job_now(database, job.id).state is JobState.RUNNING
    with pytest.raises(WrongState):
        job_control.restart(context, first.job_id)


def _set_state(database: CuttableDatabase, job_id: str, state: JobState) -> None:
    with database.transaction() as tx:
        job = jobs.lock(tx, job_id)
        assert job is not None
        jobs.save(tx, replace(job, state=state))
