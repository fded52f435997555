"""The parts of a log are numbered within their task, and say how far they go."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Connection

from tests.store.plans import plans_of
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


def test_parts_are_numbered_on_over_steps_and_deliveries(database: Database) -> None:
    task, another = store_task(database), store_task(database)

    add(database, task, step_of(task), "a", "b")
    add(database, another, step_of(another), "x")
    add(database, task, step_of(task))
    add(database, task, step_of(task, step=1), "c")
    add(database, task, step_of(task, delivery=2), "d", "e")

    found = log_of(database, task.id)
    assert [(part.number, part.contents) for part in found] == [
        (1, "a"),
        (2, "b"),
        (3, "c"),
        (4, "d"),
        (5, "e"),
    ]
    assert [part.step for part in found] == [0, 0, 1, 0, 0]
    assert all(part.created_at > 1.7e9 for part in found)


def test_two_deliveries_may_append_at_once(database: Database) -> None:
    task = store_task(database)
    together = threading.Barrier(2)

    def append(delivery: int) -> None:
        together.wait()
        for _ in range(20):
            add(database, task, step_of(task, delivery=delivery), "x")

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(append, (1, 2)))

    assert [part.number for part in log_of(database, task.id)] == list(range(1, 41))


def test_the_position_is_that_of_the_last_part_of_the_same_run(database: Database) -> None:
    task = store_task(database)
    add(database, task, step_of(task), "1", "22")
    add(database, task, step_of(task, step=1), "333")
    add(database, task, step_of(task, delivery=2), "4444")

    with database.reading() as tx:
        assert logs.position(tx, step_of(task)) == LogPosition(stdout_open=2)
        assert logs.position(tx, step_of(task, step=1)) == LogPosition(stdout_open=3)
        assert logs.position(tx, step_of(task, delivery=2)) == LogPosition(stdout_open=4)
        assert logs.position(tx, step_of(task, delivery=3)) == LogPosition()


def test_a_page_holds_the_newest_parts_first(database: Database) -> None:
    task = store_task(database)
    add(database, task, step_of(task), "a", "b", "c")

    with database.reading() as tx:
        pages = [logs.page_of_task(tx, task.id, number=number, size=2) for number in (1, 2, 3)]

    assert [[part.contents for part in parts] for parts, _ in pages] == [["c", "b"], ["a"], []]
    assert {total for _, total in pages} == {3}


def test_the_log_of_a_job_is_that_of_its_tasks_and_no_others(database: Database) -> None:
    task, another = store_task(database), store_task(database)
    add(database, task, step_of(task), "a")
    add(database, another, step_of(another), "x")
    add(database, task, step_of(task), "b")

    with database.reading() as tx:
        parts, total = logs.page_of_job(tx, task.job_id, number=1, size=10)

    assert ([part.contents for part in parts], total) == (["b", "a"], 2)


def test_any_text_is_kept(database: Database) -> None:
    task = store_task(database)
    text = "a\r\n\u2028\x1b[0m \N{GRINNING FACE} \N{REPLACEMENT CHARACTER} '; drop table"

    add(database, task, step_of(task), text)

    assert [part.contents for part in log_of(database, task.id)] == [text]


def test_parts_that_hold_a_text_have_pages_of_their_own(database: Database) -> None:
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


@pytest.mark.parametrize("text", ["", "fox"])
def test_a_page_is_read_in_the_order_of_an_index(database: Database, text: str) -> None:
    """Sorted, the whole log would be read for each page."""
    task = store_task(database)

    def pages(tx: Connection) -> None:
        logs.page_of_task(tx, task.id, number=2, size=5, text=text)
        logs.page_of_job(tx, task.job_id, number=2, size=5, text=text)

    with database.transaction() as tx:
        found = plans_of(tx, pages)
    assert "ix_log_parts_task_id_number" in found
    assert "ix_log_parts_job_id_seq" in found
    assert "TEMP B-TREE" not in found
    assert "Seq Scan" not in found
