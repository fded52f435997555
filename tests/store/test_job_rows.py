"""Jobs come back as they were stored, newest first."""

from dataclasses import replace

from sqlalchemy import update

from tests.domain.samples import submission, task_definition
from tests.store.stores import change, job_now, store_job, store_task, task_now, tasks_of
from tork_celery.domain.definition import Limits, Mount, StepDefinition
from tork_celery.domain.states import JobState, Outcome, TaskState
from tork_celery.store import Database, jobs, tasks
from tork_celery.store.tables import jobs as table

EVERYTHING = task_definition(
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


def test_a_job_comes_back_as_it_was_stored(database: Database) -> None:
    job, _ = store_job(database, EVERYTHING)
    job = replace(
        job,
        state=JobState.FAILED,
        results={"x": "1"},
        position=1,
        started_at=1.5,
        ended_at=2.5,
        result="r",
        error="e",
        progress=12.5,
    )

    with database.transaction() as tx:
        jobs.save(tx, job)

    assert job_now(database, job.id) == job


def test_a_task_comes_back_as_it_was_stored(database: Database) -> None:
    step = StepDefinition(name="a step", image="busybox", env={"B": "c"}, timeout="3s")
    task = store_task(
        database,
        replace(EVERYTHING, pre=(step,), post=(step, step)),
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


def test_what_is_not_there_is_none(database: Database) -> None:
    with database.transaction() as tx:
        assert jobs.get(tx, "none") is None
        assert tasks.get(tx, "none") is None
        assert jobs.lock_by_task(tx, "none") is None


def test_jobs_are_counted_by_state(database: Database) -> None:
    store_job(database)
    job, _ = store_job(database)
    with database.transaction() as tx:
        jobs.start(tx, job.id)

        assert jobs.count(tx, JobState.SCHEDULED) == 1
        assert jobs.count(tx, JobState.RUNNING) == 1
        assert jobs.count(tx, JobState.FAILED) == 0


def test_a_job_begins_once(database: Database) -> None:
    job, _ = store_job(database)
    with database.transaction() as tx:
        jobs.start(tx, job.id)
    begun = job_now(database, job.id)

    with database.transaction() as tx:
        jobs.start(tx, job.id)

    assert begun.state is JobState.RUNNING
    assert begun.started_at is not None
    assert job_now(database, job.id) == begun


def test_a_job_that_ended_does_not_begin(database: Database) -> None:
    job, _ = store_job(database)
    with database.transaction() as tx:
        jobs.save(tx, replace(job, state=JobState.FAILED))
        jobs.start(tx, job.id)

    assert job_now(database, job.id).state is JobState.FAILED


def test_the_job_of_a_task_is_found(database: Database) -> None:
    store_job(database)
    job, task = store_job(database)

    with database.transaction() as tx:
        assert jobs.lock_by_task(tx, task.id) == job


def test_the_runs_of_a_job_are_in_order(database: Database) -> None:
    job, first = store_job(database)
    others = [
        replace(submission().added[0], job_id=job.id, position=position, created_at=created_at)
        for position, created_at in ((3, 1.0), (2, 9.0), (2, 8.0))
    ]
    with database.transaction() as tx:
        tasks.add(tx, others)
        tasks.add(tx, [])

    assert tasks_of(database, job.id) == [first, others[2], others[1], others[0]]


def test_only_the_task_that_is_named_changes(database: Database) -> None:
    one, another = store_task(database), store_task(database)

    change(database, one, error="e")

    assert task_now(database, another.id) == another


def test_a_large_definition_is_read_once_and_has_the_secrets_of_its_own_job(database: Database) -> None:
    many = (task_definition(),) * 1000
    stored = [store_job(database, *many)[0] for _ in range(2)]
    with database.transaction() as tx:
        for job in stored:
            tx.execute(update(table).where(table.c.id == job.id).values(secrets={"of": job.id}))

    one, another = (job_now(database, job.id) for job in stored)

    assert one.definition.tasks == many
    assert one.definition.tasks is another.definition.tasks
    assert [job.definition.secrets["of"] for job in (one, another)] == [one.id, another.id]


def test_the_definition_of_a_task_is_stored_when_its_turn_has_come(database: Database) -> None:
    task = store_task(database)
    later = replace(task, definition=task_definition(name="another", queue="gpu"))

    for redefined, expected in (((), task), ((task.id,), later)):
        with database.transaction() as tx:
            tasks.save(tx, [later], redefined=redefined)
        assert task_now(database, task.id) == expected
        with database.reading() as tx:
            assert list(tasks.count_by_queue(tx)) == [expected.queue]
