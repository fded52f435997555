"""Log parts are numbered within their task, positioned within their step, and paged."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Connection

from tests.store.query_plans import explain_statements
from tests.store.stores import log_of, store_task
from tork_celery.domain.logs import LogPart, LogPosition
from tork_celery.domain.model import StepRef, Task
from tork_celery.store import Database, logs


def add(database: Database, task: Task, ref: StepRef, *contents: str) -> None:
    parts = [
        LogPart(task_id=task.id, step=ref.step, contents=text, position=LogPosition(stdout_open=len(text)))
        for text in contents
    ]
    with database.transaction() as tx:
        logs.add(tx, job_id=task.job_id, ref=ref, parts=parts)


def step_of(task: Task, *, delivery: int = 1, step: int = 0) -> StepRef:
    return StepRef(task_id=task.id, delivery=delivery, step=step)


def test_part_numbers_continue_across_steps_and_deliveries(database: Database) -> None:
    task, other = store_task(database), store_task(database)

    add(database, task, step_of(task), "a", "b")
    add(database, other, step_of(other), "x")
    add(database, task, step_of(task))
    add(database, task, step_of(task, step=1), "c")
    add(database, task, step_of(task, delivery=2), "d", "e")

    parts = log_of(database, task.id)
    assert [(part.number, part.contents) for part in parts] == [
        (1, "a"),
        (2, "b"),
        (3, "c"),
        (4, "d"),
        (5, "e"),
    ]
    assert [part.step for part in parts] == [0, 0, 1, 0, 0]
    assert all(part.created_at > 1.7e9 for part in parts)


def test_two_deliveries_append_concurrently(database: Database) -> None:
    task = store_task(database)
    barrier = threading.Barrier(2)

    def append(delivery: int) -> None:
        barrier.wait()
        for _ in range(20):
            add(database, task, step_of(task, delivery=delivery), "x")

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(append, (1, 2)))

    assert [part.number for part in log_of(database, task.id)] == list(range(1, 41))


def test_position_is_that_of_the_last_part_of_the_step(database: Database) -> None:
    task = store_task(database)
    add(database, task, step_of(task), "1", "22")
    add(database, task, step_of(task, step=1), "333")
    add(database, task, step_of(task, delivery=2), "4444")

    with database.reading() as tx:
        assert logs.position(tx, step_of(task)) == LogPosition(stdout_open=2)
        assert logs.position(tx, step_of(task, step=1)) == LogPosition(stdout_open=3)
        assert logs.position(tx, step_of(task, delivery=2)) == LogPosition(stdout_open=4)
        assert logs.position(tx, step_of(task, delivery=3)) == LogPosition()


def test_page_has_the_newest_parts_first(database: Database) -> None:
    task = store_task(database)
    add(database, task, step_of(task), "a", "b", "c")

    with database.reading() as tx:
        pages = [logs.page_of_task(tx, task.id, number=number, size=2) for number in (1, 2, 3)]

    assert [[part.contents for part in parts] for parts, _ in pages] == [["c", "b"], ["a"], []]
    assert {total for _, total in pages} == {3}


def test_job_log_has_the_parts_of_its_own_tasks(database: Database) -> None:
    task, other = store_task(database), store_task(database)
    add(database, task, step_of(task), "a")
    add(database, other, step_of(other), "x")
    add(database, task, step_of(task), "b")

    with database.reading() as tx:
        parts, total = logs.page_of_job(tx, task.job_id, number=1, size=10)

    assert ([part.contents for part in parts], total) == (["b", "a"], 2)


def test_any_text_round_trips(database: Database) -> None:
    task = store_task(database)
    text = "a\r\n\u2028\x1b[0m \N{GRINNING FACE} \N{REPLACEMENT CHARACTER} '; drop table"

    add(database, task, step_of(task), text)

    assert [part.contents for part in log_of(database, task.id)] == [text]


def test_text_search_is_paged_and_case_insensitive(database: Database) -> None:
    task = store_task(database)
    add(database, task, step_of(task), "one Fox", "two", "three foxes", "50% of a FOX")

    with database.reading() as tx:
        for number, expected in ((1, ["50% of a FOX", "three foxes"]), (2, ["one Fox"]), (3, [])):
            for parts, total in (
                logs.page_of_task(tx, task.id, number=number, size=2, text="fox"),
                logs.page_of_job(tx, task.job_id, number=number, size=2, text="fox"),
            ):
                assert ([part.contents for part in parts], total) == (expected, 3)
        assert logs.page_of_task(tx, task.id, number=1, size=2, text="0%")[1] == 1


@pytest.mark.parametrize("text", ["äö", "ÄÖ", "Ж", "ж", "_", "%"])
def test_text_search_folds_the_case_of_any_alphabet(database: Database, text: str) -> None:
    task = store_task(database)
    add(database, task, step_of(task), "xÄÖx", "жук_%", "neither")

    with database.reading() as tx:
        assert logs.page_of_task(tx, task.id, number=1, size=2, text=text)[1] == 1


@pytest.mark.parametrize("text", ["", "fox"])
def test_page_is_read_in_index_order(database: Database, text: str) -> None:
    """A sort would read the whole log for each page."""
    task = store_task(database)

    def pages(tx: Connection) -> None:
        logs.page_of_task(tx, task.id, number=2, size=5, text=text)
        logs.page_of_job(tx, task.job_id, number=2, size=5, text=text)

    with database.transaction() as tx:
        plans = explain_statements(tx, pages)
    assert "ix_log_parts_task_id_number" in plans
    assert "ix_log_parts_job_id_seq" in plans
    assert "TEMP B-TREE" not in plans
    assert "Seq Scan" not in plans
