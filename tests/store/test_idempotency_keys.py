"""Requests with one Idempotency-Key store one job, in any number of processes, on SQLite and PostgreSQL."""

import threading
from collections.abc import Iterator

import pytest

from tests.domain.samples import job_definition
from tests.services.fakes import FakeDispatcher
from tests.store.stores import FlakyDatabase, open_database, tasks_of
from tork_celery.domain.errors import KeyInUse
from tork_celery.domain.idempotency import Answer, IdempotencyKey
from tork_celery.domain.model import Job, Task
from tork_celery.services.context import ServiceContext
from tork_celery.services.submit import submit
from tork_celery.store import Database, idempotency_keys, job_pages

THREADS = 8
KEY = IdempotencyKey(owner="", route="/jobs", key="k", digest="d")


@pytest.fixture
def other_process(database: FlakyDatabase) -> Iterator[FlakyDatabase]:
    with open_database(database.engine.url.render_as_string(hide_password=False)) as opened:
        yield opened


def submit_with(database: Database, key: IdempotencyKey, submitted: list[str]) -> None:
    def answer_to(made: tuple[Job, Task]) -> Answer:
        return Answer(key=key, text=f'"{made[0].id}"')

    context = ServiceContext(database=database, dispatcher=FakeDispatcher(), lease_s=10.0)
    try:
        job, _ = submit(context, job_definition(), answer_to=answer_to)
    except KeyInUse:
        return
    submitted.append(job.id)


def test_submissions_of_two_processes_at_the_same_moment_make_one_job(
    database: FlakyDatabase, other_process: FlakyDatabase
) -> None:
    submitted: list[str] = []
    barrier = threading.Barrier(THREADS)

    def run(own: Database) -> None:
        barrier.wait()
        submit_with(own, KEY, submitted)

    threads = [
        threading.Thread(target=run, args=[(database, other_process)[number % 2]])
        for number in range(THREADS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    [job_id] = submitted
    with database.reading() as tx:
        assert idempotency_keys.get(tx, KEY) == Answer(key=KEY, text=f'"{job_id}"')
        assert [job.id for job in job_pages.page(tx, number=1, size=10)[0]] == [job_id]
    assert len(tasks_of(database, job_id)) == 1


def test_repeated_request_does_not_keep_others_of_its_group_from_being_stored(
    database: FlakyDatabase,
) -> None:
    submitted: list[str] = []
    keys = [IdempotencyKey(owner="", route="/jobs", key=str(number % 3), digest="d") for number in range(12)]
    barrier = threading.Barrier(len(keys))

    def run(key: IdempotencyKey) -> None:
        barrier.wait()
        submit_with(database, key, submitted)

    threads = [threading.Thread(target=run, args=[key]) for key in keys]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(submitted) == 3
    with database.reading() as tx:
        listed, _ = job_pages.page(tx, number=1, size=20)
    assert {job.id for job in listed} == set(submitted)
