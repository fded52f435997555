"""Streams of events over HTTP, with SQLite and PostgreSQL."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import update

from tests.api.front.streaming import RunningApi, StreamClient, running_api
from tests.store.stores import FlakyDatabase, change, change_job, open_database, sqlite_url, store_job
from tork_celery.domain.logs import LogPart, LogPosition
from tork_celery.domain.model import Task
from tork_celery.domain.states import JobState, TaskState
from tork_celery.store import Database, jobs, logs, tasks
from tork_celery.store.tables import tasks as task_table


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[FlakyDatabase]:
    url = sqlite_url(tmp_path) if request.param == "sqlite" else request.getfixturevalue("postgresql_url")
    with open_database(url) as opened:
        yield opened


@pytest.fixture
def api(database: FlakyDatabase) -> Iterator[RunningApi]:
    with running_api(database) as running:
        yield running


def append(database: Database, task: Task, *texts: str) -> None:
    """Append a part to the log of a task for each text."""
    for text in texts:
        part = LogPart(task_id=task.id, step=0, contents=text, position=LogPosition())
        with database.transaction() as tx:
            logs.add(tx, job_id=task.job_id, ref=task.ref, parts=[part])


def texts(stream: StreamClient) -> list[str]:
    return [event.data["contents"] for event in stream.events if event.name == "log"]


def test_jobs_begin_with_the_active_ones_and_go_on_with_new_ones(api: RunningApi, database: Database) -> None:
    first, _ = store_job(database)
    stream = api.stream("jobs")
    stream.until("job", id=first.id, state="SCHEDULED")

    second, _ = store_job(database)
    stream.until("job", id=second.id)
    change_job(database, first, state=JobState.RUNNING)
    event = stream.until("job", id=first.id, state="RUNNING")

    assert event.data == api.get("/jobs?q=status:running")[1]["items"][0]
    stream.close()


def test_job_ends_with_its_last_state(api: RunningApi, database: Database) -> None:
    job, task = store_job(database)
    stream = api.stream(f"job:{job.id}")
    stream.until("job", id=job.id)
    stream.until("task", id=task.id, state="SCHEDULED")

    change(database, task, state=TaskState.COMPLETED)
    change_job(database, job, state=JobState.COMPLETED)

    stream.rest()
    assert stream.events[-1].name == "end"
    assert stream.events[-1].data == {"topic": f"job:{job.id}"}
    assert [e.data["state"] for e in stream.events if e.name == "task"][-1] == "COMPLETED"
    assert [e.data["state"] for e in stream.events if e.name == "job"][-1] == "COMPLETED"


def test_log_has_each_part_once_and_in_order(api: RunningApi, database: Database) -> None:
    _, task = store_job(database)
    stored = [f"{number}\n" for number in range(20)]
    append(database, task, *stored)
    stream = api.stream(f"log:{task.id}")
    stream.until("log", number=20)

    append(database, task, "live\n", "too\n")
    stream.until("log", number=22)
    change(database, task, state=TaskState.COMPLETED)

    assert [event.name for event in stream.rest()] == ["end"]
    assert texts(stream) == [*stored, "live\n", "too\n"]


@pytest.mark.parametrize(
    ("tail", "shown"),
    [
        (1, ["e"]),
        (2, ["d\n", "e"]),
        (3, ["c\n", "d\n", "e"]),
        (4, ["b\nc\n", "d\n", "e"]),
        (9, ["a\nb\nc\n", "d\n", "e"]),
    ],
)
def test_tail_begins_with_the_last_lines(
    api: RunningApi, database: Database, tail: int, shown: list[str]
) -> None:
    _, task = store_job(database)
    append(database, task, "a\nb\nc\n", "d\n", "e")
    change(database, task, state=TaskState.COMPLETED)

    stream = api.stream(f"log:{task.id}", tail=tail)
    stream.rest()

    assert texts(stream) == shown


def test_ended_stream_is_not_opened_again(api: RunningApi, database: Database) -> None:
    _, task = store_job(database)
    change(database, task, state=TaskState.COMPLETED)
    stream = api.stream(f"log:{task.id}")
    stream.rest()

    status, _ = api.get(f"/events?topic=log:{task.id}", {"Last-Event-ID": stream.last_id})

    assert status == 204


def test_log_resumes_in_another_process_without_a_gap(database: FlakyDatabase) -> None:
    _, task = store_job(database)
    append(database, task, "1\n", "2\n", "3\n")
    with running_api(database) as api:
        first = api.stream(f"log:{task.id}")
        first.until("log", number=2)
        resumed_at = first.events[-1].id
        first.close()
    append(database, task, "4\n")
    change(database, task, state=TaskState.COMPLETED)

    with running_api(database) as api:
        second = api.stream(f"log:{task.id}", last_id=resumed_at)
        second.rest()

    assert texts(second) == ["3\n", "4\n"]


def test_retried_task_shows_all_attempts(api: RunningApi, database: Database) -> None:
    _, task = store_job(database)
    append(database, task, "first\n")
    stream = api.stream(f"log:{task.id}")
    stream.until("log", number=1)

    retry = retry_of(database, task)
    append(database, retry, "second\n")
    stream.until("log", contents="second\n")
    change(database, retry, state=TaskState.COMPLETED)
    stream.rest()

    assert texts(stream) == ["first\n", "second\n"]


def retry_of(database: Database, task: Task) -> Task:
    """Let the task fail and store its next attempt."""
    retry = replace(task, id="r" * 32, first_id=task.id, attempts=1)
    with database.transaction() as tx:
        tx.execute(update(task_table).where(task_table.c.id == task.id).values(state=TaskState.FAILED))
        tasks.add(tx, [retry])
    return retry


def test_deleted_job_ends_its_topics(api: RunningApi, database: Database) -> None:
    job, task = store_job(database)
    stream = api.stream(f"job:{job.id}", f"log:{task.id}")
    stream.until("task", id=task.id)

    with database.transaction() as tx:
        jobs.remove(tx, job.id)

    ended = [event.data["topic"] for event in stream.rest() if event.name == "end"]
    assert sorted(ended) == [f"job:{job.id}", f"log:{task.id}"]
