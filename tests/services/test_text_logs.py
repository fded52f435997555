"""The text of a log is read in chunks, from any number of lines before its end."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.domain.samples import task_definition
from tests.store.stores import FlakyDatabase, store_job, store_task
from tork_celery.domain.errors import DatastoreUnavailable, NotFound
from tork_celery.domain.logs import LogPart, LogPosition, LogSource
from tork_celery.domain.model import Task
from tork_celery.services import text_logs
from tork_celery.services.context import ServiceContext
from tork_celery.services.text_logs import TextLog, TextOptions
from tork_celery.store import logs, tasks

Add = Callable[..., None]


@pytest.fixture
def add(database: FlakyDatabase) -> Add:
    """Return a function that stores parts with these contents."""

    def add(task: Task, *contents: str, step: int = 0, source: LogSource = LogSource.CONTAINER) -> None:
        parts = [
            LogPart(
                task_id=task.id,
                step=step,
                step_name=f"step {step}",
                contents=text,
                source=source,
                position=LogPosition(),
            )
            for text in contents
        ]
        with database.transaction() as tx:
            logs.add(tx, job_id=task.job_id, ref=task.ref, parts=parts)

    return add


def whole(log: TextLog) -> str:
    chunks = []
    while (chunk := log.read()) is not None:
        chunks.append(chunk)
    return b"".join(chunks).decode()


def of_task(context: ServiceContext, task: Task, **options: object) -> str:
    return whole(text_logs.of_task(context, task.id, TextOptions(**options)))  # type: ignore[arg-type]


def of_job(context: ServiceContext, task: Task, **options: object) -> str:
    return whole(text_logs.of_job(context, task.job_id, TextOptions(**options)))  # type: ignore[arg-type]


def second_attempt(database: FlakyDatabase, task: Task) -> Task:
    again = replace(task, id="a" * 32, first_id=task.id, attempts=1)
    with database.transaction() as tx:
        tasks.add(tx, [again])
    return again


def test_whole_log_is_read_in_chunks(context: ServiceContext, database: FlakyDatabase, add: Add) -> None:
    task = store_task(database)
    lines = [f"line {number}\n" for number in range(100)]
    add(task, *lines)
    log = text_logs.of_task(context, task.id, TextOptions())

    first = log.read()

    assert first == "".join(lines[:32]).encode()
    assert whole(log) == "".join(lines[32:])
    assert log.read() is None


def test_all_attempts_are_shown_in_order(context: ServiceContext, database: FlakyDatabase, add: Add) -> None:
    task = store_task(database)
    again = second_attempt(database, task)
    add(again, "3\n")
    add(task, "1\n", "2\n")

    assert of_task(context, task) == "1\n2\n3\n"
    assert of_task(context, again) == "3\n"
    assert of_task(context, task, tail=2) == "2\n3\n"
    assert of_task(context, task, tail=1) == "3\n"


@pytest.mark.parametrize("tail", range(9))
def test_tail_has_the_last_lines(
    context: ServiceContext, database: FlakyDatabase, add: Add, tail: int
) -> None:
    task = store_task(database)
    add(task, "1\n2", "2\n3\n", "4", "4")
    add(task, "5\n", source=LogSource.SYSTEM)
    add(task, "6\n7")
    lines = ["1\n", "22\n", "3\n", "44\n", "tork: 5\n", "6\n", "7"]

    assert of_task(context, task, tail=tail) == "".join(lines[max(0, len(lines) - tail) :])
    expected = [f"a task | {line.rstrip()}\n" for line in lines]
    assert of_job(context, task, tail=tail) == "".join(expected[max(0, len(expected) - tail) :])


@pytest.mark.parametrize("step", ["1", "step 1"])
def test_step_is_chosen_by_index_or_name(
    context: ServiceContext, database: FlakyDatabase, add: Add, step: str
) -> None:
    task = store_task(database)
    add(task, "a\n")
    add(task, "b\n", "c\n", step=1)

    assert of_task(context, task, step=step) == "b\nc\n"
    assert of_task(context, task, step=step, tail=1) == "c\n"
    assert of_job(context, task, step=step) == "a task | b\na task | c\n"
    assert of_task(context, task, step="9" * 20) == ""


def test_log_of_a_job_is_in_the_order_of_storing(
    context: ServiceContext, database: FlakyDatabase, add: Add
) -> None:
    _, first = store_job(database, task_definition(name="first"))
    definition = task_definition(name="the s3cr3t\none", env={"API_TOKEN": "s3cr3t"})
    second = replace(first, id="b" * 32, definition=definition)
    with database.transaction() as tx:
        tasks.add(tx, [second])
    add(first, "1\n")
    add(second, "2\n")
    add(first, "3\n")

    assert of_job(context, first) == "first | 1\nthe [REDACTED] one | 2\nfirst | 3\n"


def test_chunk_is_read_again_after_an_outage(
    context: ServiceContext, database: FlakyDatabase, add: Add
) -> None:
    task = store_task(database)
    add(task, *(f"{number}\n" for number in range(40)))
    log = text_logs.of_task(context, task.id, TextOptions(tail=35))

    database.failures_left = 1
    with pytest.raises(DatastoreUnavailable):
        log.read()
    first = (log.read() or b"").decode()
    database.failures_left = 1
    with pytest.raises(DatastoreUnavailable):
        log.read()

    assert first + whole(log) == "".join(f"{number}\n" for number in range(5, 40))


def test_unknown_task_and_job_are_not_found(context: ServiceContext) -> None:
    with pytest.raises(NotFound, match="no task"):
        text_logs.of_task(context, "nope", TextOptions())
    with pytest.raises(NotFound, match="no job"):
        text_logs.of_job(context, "nope", TextOptions())
