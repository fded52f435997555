"""Jobs and tasks round-trip, and their states change along the transition tables only."""

from dataclasses import replace

from sqlalchemy import update

from tests.domain.samples import submission, task_definition
from tests.store.stores import change, job_now, results_of, store_job, store_task, task_now, tasks_of
from tork_celery.domain.definition import Limits, Mount, StepDefinition
from tork_celery.domain.states import JobState, Outcome, TaskState
from tork_celery.store import Database, job_results, jobs, tasks
from tork_celery.store.tables import jobs as job_table

FULL_DEFINITION = task_definition(
    description="what it does",
    run="echo",
    entrypoint=("sh", "-e"),
    env={"A": "ä"},
    files={"conf/a.ini": "x"},
    timeout="1h",
    workdir="/work",
    queue="gpu",
    mounts=(Mount(type="volume", target="/data", opts={"o": "ro"}),),
    volumes=("/tmp",),
    limits=Limits(cpus="0.5", memory="500m"),
    var="x",
    tags=("a", "b"),
    priority=9,
)


def test_job_round_trips(database: Database) -> None:
    job, _ = store_job(database, FULL_DEFINITION)
    job = replace(
        job,
        state=JobState.FAILED,
        done_tasks=1,
        ended_tasks=1,
        started_at=1.5,
        ended_at=2.5,
        result="r",
        error="e",
        progress=12.5,
    )

    with database.transaction() as tx:
        jobs.save(tx, job)

    assert job_now(database, job.id) == job


def test_task_round_trips(database: Database) -> None:
    step = StepDefinition(name="a step", image="busybox", env={"B": "c"}, timeout="3s")
    task = store_task(
        database,
        replace(FULL_DEFINITION, pre=(step,), post=(step, step)),
        state=TaskState.RUNNING,
        outcome=Outcome.FAILED,
        delivery=3,
        step=2,
        step_running=True,
        losses=1,
        node="n",
        lease_until=1.0,
        deadline_at=2.0,
        sent_at=3.0,
        started_at=4.0,
        ended_at=5.0,
        result="r",
        error="e",
        progress=1.0,
        parent_id="p",
    )

    assert task_now(database, task.id) == task


def test_unknown_ids_return_none(database: Database) -> None:
    with database.transaction() as tx:
        assert jobs.get(tx, "none") is None
        assert tasks.get(tx, "none") is None
        assert jobs.get_by_task(tx, "none") is None


def test_jobs_are_counted_by_state(database: Database) -> None:
    store_job(database)
    job, _ = store_job(database)
    with database.transaction() as tx:
        jobs.start(tx, job.id)

        assert jobs.count(tx, JobState.SCHEDULED) == 1
        assert jobs.count(tx, JobState.RUNNING) == 1
        assert jobs.count(tx, JobState.FAILED) == 0


def test_job_starts_once(database: Database) -> None:
    job, _ = store_job(database)
    with database.transaction() as tx:
        jobs.start(tx, job.id)
    started = job_now(database, job.id)

    with database.transaction() as tx:
        jobs.start(tx, job.id)

    assert started.state is JobState.RUNNING
    assert started.started_at is not None
    assert job_now(database, job.id) == started


def test_ended_job_does_not_start(database: Database) -> None:
    job, _ = store_job(database)
    with database.transaction() as tx:
        jobs.save(tx, replace(job, state=JobState.FAILED))
        jobs.start(tx, job.id)

    assert job_now(database, job.id).state is JobState.FAILED


def test_job_is_found_by_task_id(database: Database) -> None:
    store_job(database)
    job, task = store_job(database)

    with database.transaction() as tx:
        assert jobs.get_by_task(tx, task.id) == job


def test_each_change_of_a_job_is_noticed(database: Database) -> None:
    job, _ = store_job(database)
    with database.transaction() as tx:
        assert jobs.lock_unchanged(tx, job)
        jobs.start(tx, job.id)
        assert not jobs.lock_unchanged(tx, job)
    started = job_now(database, job.id)
    with database.transaction() as tx:
        jobs.save(tx, replace(started, done_tasks=1))
        assert not jobs.lock_unchanged(tx, started)
        jobs.remove(tx, job.id)
        assert not jobs.lock_unchanged(tx, replace(started, version=2))


def test_later_result_replaces_the_earlier_one_of_its_name(database: Database) -> None:
    job, _ = store_job(database)
    other, _ = store_job(database)
    with database.transaction() as tx:
        job_results.save(tx, job.id, {"x": "1", "a": "2"})
        job_results.save(tx, other.id, {"x": "other"})
        job_results.save(tx, job.id, {"x": "3"})
        job_results.save(tx, job.id, {})

    assert list(results_of(database, job.id).items()) == [("a", "2"), ("x", "3")]
    with database.reading() as tx:
        assert job_results.StoredResults(tx, job.id).get("x") == "3"
        assert job_results.StoredResults(tx, job.id).get("y") is None


def test_active_tasks_end_and_others_stay(database: Database) -> None:
    job, running = store_job(database)
    change(database, running, state=TaskState.RUNNING, node="n", step_running=True)
    added = [replace(submission().added[0], job_id=job.id) for _ in range(3)]
    with database.transaction() as tx:
        tasks.add(tx, added)
    done = change(database, added[0], state=TaskState.COMPLETED)

    with database.transaction() as tx:
        assert [task.id for task in tasks.active(tx, job.id, limit=1, running_first=True)] == [running.id]
        assert {task.id for task in tasks.active(tx, job.id, limit=9)} == {
            task.id for task in (running, *added[1:])
        }
        ended = tasks.end_active(tx, (running, *added), state=TaskState.CANCELLED)
        assert tasks.end_active(tx, (), state=TaskState.CANCELLED) == []

    assert {task.id for task in ended} == {running.id, added[1].id, added[2].id}
    assert task_now(database, done.id) == done
    assert {task_now(database, task.id).state for task in ended} == {TaskState.CANCELLED}


def test_task_that_was_claimed_after_it_was_read_ends_with_its_node(database: Database) -> None:
    task = store_task(database)
    change(database, task, state=TaskState.RUNNING, node="n", delivery=2)

    with database.transaction() as tx:
        [ended] = tasks.end_active(tx, [task], state=TaskState.STOPPED)

    assert (ended.node, ended.delivery, ended.state) == ("n", 2, TaskState.STOPPED)


def test_tasks_of_a_job_are_in_order(database: Database) -> None:
    job, first = store_job(database)
    others = [
        replace(submission().added[0], job_id=job.id, position=position, created_at=created_at)
        for position, created_at in ((3, 1.0), (2, 9.0), (2, 8.0))
    ]
    with database.transaction() as tx:
        tasks.add(tx, others)
        tasks.add(tx, [])

    assert tasks_of(database, job.id) == [first, others[2], others[1], others[0]]


def test_save_changes_no_other_task(database: Database) -> None:
    task, other = store_task(database), store_task(database)

    with database.transaction() as tx:
        tasks.save(tx, [replace(task, error="e")])

    assert task_now(database, other.id) == other


def test_large_definition_is_cached_without_the_secrets(database: Database) -> None:
    many = (task_definition(),) * 1000
    stored = [store_job(database, *many)[0] for _ in range(2)]
    with database.transaction() as tx:
        for job in stored:
            tx.execute(update(job_table).where(job_table.c.id == job.id).values(secrets={"id": job.id}))

    first, second = (job_now(database, job.id) for job in stored)

    assert first.definition.tasks == many
    assert first.definition.tasks is second.definition.tasks
    assert [job.definition.secrets["id"] for job in (first, second)] == [first.id, second.id]


def test_definition_is_stored_only_when_redefined(database: Database) -> None:
    task = store_task(database)
    later = replace(task, definition=task_definition(name="redefined", queue="gpu"))

    for redefined, expected in (((), task), ((task.id,), later)):
        with database.transaction() as tx:
            tasks.save(tx, [later], redefined=redefined)
        assert task_now(database, task.id) == expected
        with database.reading() as tx:
            assert list(tasks.count_by_queue(tx)) == [expected.queue]
