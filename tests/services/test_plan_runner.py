"""Plans of composites and subjobs are stored and published; the sweep resumes what a crash interrupted."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import event, text

from tests.domain.samples import job_definition, task_definition
from tests.services.fakes import FakeDispatcher
from tests.services.samples import PARALLEL, SUBJOB, each_job
from tests.store.stores import FlakyDatabase, change, change_job, job_now, results_of, task_now, tasks_of
from tork_celery.domain.definition import Each, JobDefinition, Parallel, Subjob, TaskDefinition
from tork_celery.domain.model import Job, Task
from tork_celery.domain.plan import Plan
from tork_celery.domain.plan_limits import MAX_STARTED_CHILDREN
from tork_celery.domain.states import JobState, Outcome, TaskState
from tork_celery.services import job_control, plan_runner
from tork_celery.services.advance import start_children
from tork_celery.services.context import ServiceContext
from tork_celery.services.early_end import end_tasks
from tork_celery.services.plan_runner import StoredTaskReader
from tork_celery.services.recovery_sweep import RecoverySweep
from tork_celery.services.submit import submit
from tork_celery.store import jobs, tasks

MANY = MAX_STARTED_CHILDREN + 10


def states(database: FlakyDatabase, job_id: str) -> Counter[TaskState]:
    return Counter(task.state for task in tasks_of(database, job_id))


def test_children_are_stored_and_sent(
    context: ServiceContext, database: FlakyDatabase, dispatcher: FakeDispatcher
) -> None:
    job, parent = submit(context, each_job("[7, 8, 9]", concurrency=2))

    assert [task.definition.name for task in dispatcher.sent] == ["7", "8"]
    assert job_now(database, job.id).state is JobState.RUNNING
    stored = task_now(database, parent.id)
    assert (stored.size, stored.started_children, stored.completions) == (3, 2, 0)
    created = [task for task in tasks_of(database, job.id) if task.state is TaskState.CREATED]
    assert [(task.index, task.scope) for task in created] == [(2, {"item": {"index": "2", "value": 9}})]


def test_completed_child_starts_the_next_one(
    context: ServiceContext,
    database: FlakyDatabase,
    dispatcher: FakeDispatcher,
    end_task: Callable[[Task, Outcome], None],
) -> None:
    job, _ = submit(context, each_job("sequence(0, 5)", concurrency=2))
    for number in range(5):
        assert len(dispatcher.sent) == min(number + 2, 5)
        end_task(dispatcher.sent[number], Outcome.COMPLETED)
    assert states(database, job.id) == {TaskState.COMPLETED: 6}
    assert job_now(database, job.id).state is JobState.COMPLETED


def test_many_children_are_started_in_several_transactions(
    context: ServiceContext, dispatcher: FakeDispatcher, database: FlakyDatabase
) -> None:
    job, parent = submit(context, each_job(f"sequence(0, {MANY})"))
    assert states(database, job.id)[TaskState.SCHEDULED] == MAX_STARTED_CHILDREN
    assert dispatcher.parents_to_start == [parent.id]

    start_children(context, parent.id)
    start_children(context, parent.id)

    assert states(database, job.id) == {TaskState.RUNNING: 1, TaskState.SCHEDULED: MANY}


def test_sweep_starts_children_whose_message_was_lost(
    context: ServiceContext, database: FlakyDatabase
) -> None:
    job, _ = submit(context, each_job(f"sequence(0, {MANY})"))

    RecoverySweep(context).sweep()

    assert states(database, job.id)[TaskState.SCHEDULED] == MANY


def test_failed_child_stops_its_siblings(
    context: ServiceContext,
    database: FlakyDatabase,
    dispatcher: FakeDispatcher,
    end_task: Callable[[Task, Outcome], None],
) -> None:
    job, _ = submit(context, each_job("[1, 2, 3]"))
    first, second, _ = dispatcher.sent
    change(database, second, state=TaskState.RUNNING, node="other@here", step_running=True)

    end_task(first, Outcome.FAILED)

    assert states(database, job.id) == {TaskState.FAILED: 2, TaskState.STOPPED: 2}
    assert job_now(database, job.id).error == "e"
    assert [task.id for task in dispatcher.killed_steps] == [second.id]
    with database.reading() as tx:
        assert set(tasks.ended_early(tx, [second.id])) == {second.id}, "a heartbeat kills the step, too"


def test_ended_subjob_resumes_its_parent_job(
    context: ServiceContext,
    database: FlakyDatabase,
    sent_task: Callable[[str], Task],
    end_task: Callable[[Task, Outcome], None],
) -> None:
    job, parent = submit(context, job_definition(SUBJOB, task_definition(name="next")))
    subjob = job_now(database, sent_task("in").job_id)
    assert (subjob.parent_id, subjob.definition.name) == (parent.id, "inner")

    end_task(sent_task("in"), Outcome.COMPLETED)

    assert task_now(database, parent.id).state is TaskState.COMPLETED
    assert sent_task("next").job_id == job.id


def test_sweep_resumes_parent_of_ended_subjob(
    context: ServiceContext, database: FlakyDatabase, sent_task: Callable[[str], Task]
) -> None:
    job, _ = submit(context, job_definition(SUBJOB))
    subjob = job_now(database, sent_task("in").job_id)
    change_job(database, subjob, state=JobState.COMPLETED)

    RecoverySweep(context).sweep()

    assert job_now(database, job.id).state is JobState.COMPLETED


def test_sweep_cancels_subjob_of_stopped_task(
    context: ServiceContext, database: FlakyDatabase, sent_task: Callable[[str], Task]
) -> None:
    _, parent = submit(context, job_definition(SUBJOB))
    change(database, task_now(database, parent.id), state=TaskState.STOPPED)

    RecoverySweep(context).sweep()

    assert job_now(database, sent_task("in").job_id).state is JobState.CANCELLED


def test_sweep_survives_a_job_that_cannot_be_read(
    context: ServiceContext, database: FlakyDatabase, dispatcher: FakeDispatcher
) -> None:
    for _ in range(2):
        submit(context, job_definition(task_definition()))
    broken, intact = dispatcher.sent
    for task in (broken, intact):
        change(database, task, state=TaskState.RUNNING, outcome=Outcome.COMPLETED, ended_at=5.0)
    with database.transaction() as tx:
        broken_row = {"id": broken.job_id}
        tx.execute(text("UPDATE job_definitions SET definition = '{}' WHERE job_id = :id"), broken_row)

    RecoverySweep(context).sweep()

    assert job_now(database, intact.job_id).state is JobState.COMPLETED
    with database.transaction() as tx:
        jobs.remove(tx, broken.job_id)


def test_plan_is_published_until_the_broker_fails_once(
    context: ServiceContext, dispatcher: FakeDispatcher
) -> None:
    """Each try can take seconds, and a client waits for the response."""
    dispatcher.away = True

    job, _ = submit(context, job_definition(PARALLEL))
    assert dispatcher.failed_calls == 1

    job_control.cancel(context, job.id)
    assert dispatcher.failed_calls == 2


def test_decision_holds_no_lock(context: ServiceContext, database: FlakyDatabase) -> None:
    job, _ = submit(context, job_definition())

    def decide(current: Job, _: StoredTaskReader, now: float) -> Plan:
        with database.transaction() as tx:  # would fail: SQLite has one writer at a time
            jobs.set_stopping(tx, "another job", None)
        return Plan(job=replace(current, progress=now))

    assert plan_runner.run(context, lambda tx: jobs.get(tx, job.id), decide) == job_now(database, job.id)


def test_decision_is_made_again_if_the_job_changes_meanwhile(
    context: ServiceContext, database: FlakyDatabase
) -> None:
    job, _ = submit(context, job_definition())
    seen: list[JobState] = []

    def decide(current: Job, _: StoredTaskReader, __: float) -> Plan:
        seen.append(current.state)
        if len(seen) == 1:
            with database.transaction() as tx:
                jobs.start(tx, job.id)
        return Plan(job=replace(current, progress=50.0))

    plan_runner.run(context, lambda tx: jobs.get(tx, job.id), decide)

    assert seen == [JobState.SCHEDULED, JobState.RUNNING]
    stored = job_now(database, job.id)
    assert (stored.state, stored.progress) == (JobState.RUNNING, 50.0)


def test_job_that_is_deleted_meanwhile_is_left_alone(
    context: ServiceContext, database: FlakyDatabase
) -> None:
    job, _ = submit(context, job_definition())

    def decide(current: Job, _: StoredTaskReader, __: float) -> Plan:
        with database.transaction() as tx:
            jobs.remove(tx, job.id)
        return Plan(job=current)

    assert plan_runner.run(context, lambda tx: jobs.get(tx, job.id), decide) is None


@pytest.mark.parametrize("size", [1_000, 50_000])
def test_bytes_that_a_fan_out_writes_grow_with_its_results_only(context: ServiceContext, size: int) -> None:
    """Each result is written once for its task and once under its `var`, whatever others there are."""
    written = [bytes_written(context, children=children, size=size) for children in (10, 40)]

    assert written[1] < 4.5 * written[0]


def bytes_written(context: ServiceContext, *, children: int, size: int) -> int:
    """Run an `each` of subjobs with results of this size; return the bytes of all texts in its statements."""
    output = f"{{{{ repeat('x', {size}) }}}}"
    inner = Subjob(name="inner", tasks=(task_definition(if_="false"),), output=output)
    child = TaskDefinition(name="sub", subjob=inner, var="r{{ item.index }}")
    each = Each(list=f"sequence(0, {children})", task=child)
    total = 0

    def count(*arguments: Any) -> None:
        nonlocal total
        rows = arguments[3] if arguments[5] else [arguments[3]]
        total += sum(len(value) for row in rows for value in row if isinstance(value, str))

    event.listen(context.database.engine, "before_cursor_execute", count)
    job, _ = submit(context, job_definition(TaskDefinition(name="each", each=each)))
    event.remove(context.database.engine, "before_cursor_execute", count)
    assert results_of(context.database, job.id) == {f"r{n}": "x" * size for n in range(children)}
    return total


FAN = [task_definition(name=f"t{n}", needs=()) for n in range(MANY)]
LAST = task_definition(name="last", needs=("t0", f"t{MANY - 1}"))


def test_sweep_starts_tasks_of_a_graph_whose_message_was_lost(
    context: ServiceContext,
    database: FlakyDatabase,
    dispatcher: FakeDispatcher,
    end_task: Callable[[Task, Outcome], None],
) -> None:
    job, _ = submit(context, job_definition(*FAN, LAST))
    assert states(database, job.id) == {TaskState.SCHEDULED: MAX_STARTED_CHILDREN + 1}
    assert dispatcher.parents_to_start == [job.id]

    RecoverySweep(context).sweep()
    RecoverySweep(context).sweep()

    assert states(database, job.id) == {TaskState.SCHEDULED: MANY}
    for name in ("t0", f"t{MANY - 1}"):
        end_task(next(t for t in tasks_of(database, job.id) if t.definition.name == name), Outcome.COMPLETED)
    assert "last" in {task.definition.name for task in tasks_of(database, job.id)}


def test_children_of_a_parallel_with_needs_are_continued(
    context: ServiceContext, database: FlakyDatabase, dispatcher: FakeDispatcher
) -> None:
    composite = TaskDefinition(name="p", parallel=Parallel(tasks=(*FAN, LAST)))
    job, parent = submit(context, job_definition(composite))
    assert dispatcher.parents_to_start == [parent.id]

    start_children(context, parent.id)
    start_children(context, parent.id)

    assert states(database, job.id) == {TaskState.RUNNING: 1, TaskState.SCHEDULED: MANY}


def test_restart_runs_what_is_not_done(
    context: ServiceContext,
    database: FlakyDatabase,
    end_task: Callable[[Task, Outcome], None],
    sent_task: Callable[[str], Task],
) -> None:
    first, second = (task_definition(name=name, needs=(), var=name) for name in ("a", "b"))
    job, _ = submit(context, job_definition(first, second, task_definition(name="c")))
    end_task(sent_task("a"), Outcome.COMPLETED)
    end_task(sent_task("b"), Outcome.FAILED)

    job_control.restart(context, job.id)

    runs = [(task.definition.name, task.state, task.superseded) for task in tasks_of(database, job.id)]
    assert sorted(runs) == [
        ("a", TaskState.COMPLETED, False),
        ("b", TaskState.FAILED, True),
        ("b", TaskState.SCHEDULED, False),
    ]
    assert (job_now(database, job.id).done_tasks, job_now(database, job.id).ended_tasks) == (1, 1)
    assert set(results_of(database, job.id)) == {"a"}


def branches(*children: TaskDefinition) -> JobDefinition:
    """Return a job with a `parallel` of these children, and a task that does not need it."""
    composite = TaskDefinition(name="p", parallel=Parallel(tasks=children))
    return job_definition(composite, task_definition(name="other", needs=()), fail_fast=False)


def test_siblings_of_a_failed_child_stop_while_other_branches_go_on(
    context: ServiceContext,
    database: FlakyDatabase,
    dispatcher: FakeDispatcher,
    end_task: Callable[[Task, Outcome], None],
    sent_task: Callable[[str], Task],
) -> None:
    job, _ = submit(context, branches(*(task_definition(name=name) for name in "abc")))
    change(database, sent_task("b"), state=TaskState.RUNNING, node="other@here", step_running=True)

    end_task(sent_task("a"), Outcome.FAILED)
    assert dispatcher.jobs_to_end == [job.id]
    end_tasks(context, job.id)
    end_tasks(context, job.id)

    by_name = {task.definition.name: task.state for task in tasks_of(database, job.id)}
    assert by_name == {
        **dict.fromkeys("pa", TaskState.FAILED),
        **dict.fromkeys("bc", TaskState.STOPPED),
        "other": TaskState.SCHEDULED,
    }
    assert [task.id for task in dispatcher.killed_steps] == [sent_task("b").id]
    assert job_now(database, job.id).state is JobState.RUNNING


def test_sweep_stops_all_levels_of_a_failed_composite(
    context: ServiceContext,
    database: FlakyDatabase,
    end_task: Callable[[Task, Outcome], None],
    sent_task: Callable[[str], Task],
) -> None:
    each = TaskDefinition(name="e", each=Each(list="1..5", task=task_definition(name="leaf"), concurrency=2))
    job, _ = submit(context, branches(task_definition(name="a"), each))

    end_task(sent_task("a"), Outcome.FAILED)
    for _ in range(3):
        RecoverySweep(context).sweep()

    by_name = {task.definition.name: task.state for task in tasks_of(database, job.id)}
    assert (by_name["e"], by_name["leaf"]) == (TaskState.STOPPED, TaskState.STOPPED)
    assert Counter(task.state for task in tasks_of(database, job.id)) == {
        TaskState.FAILED: 2,
        TaskState.STOPPED: 6,
        TaskState.SCHEDULED: 1,
    }
    with database.reading() as tx:
        assert jobs.stopping(tx, job.id) is None
