"""Log parts are numbered within their task, positioned within their step, and paged."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy import Connection, update

from tests.store.query_plans import explain_statements
from tests.store.stores import log_of, store_task
from tork_celery.domain.logs import LineRun, LogPart, LogPosition, LogSource
from tork_celery.domain.model import StepRef, Task
from tork_celery.store import Database, logs
from tork_celery.store.tables import log_parts


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


def test_fields_of_a_part_round_trip(database: Database) -> None:
    task = store_task(database)
    part = LogPart(
        task_id=task.id,
        step=2,
        step_name="build",
        line=7,
        source=LogSource.SYSTEM,
        contents="abc\n",
        stderr=[(0, 2)],
        line_times=[LineRun(1, 0), LineRun(3, 250)],
        position=LogPosition(stdout_lines=3, line=8, open_source=LogSource.SYSTEM),
    )
    with database.transaction() as tx:
        logs.add(tx, job_id=task.job_id, ref=step_of(task, step=2), parts=[part])

    [stored] = log_of(database, task.id)

    assert replace(stored, number=0, seq=0, created_at=0.0) == part
    assert stored.times_ms == [0, 250, 250, 250]


def test_part_was_created_when_its_first_line_arrived(database: Database) -> None:
    task = store_task(database)
    parts = [
        LogPart(task_id=task.id, step=0, contents="x", position=LogPosition(), age_s=age_s)
        for age_s in (60.0, 20.0)
    ]
    with database.transaction() as tx:
        logs.add(tx, job_id=task.job_id, ref=step_of(task), parts=parts)

    first, second = log_of(database, task.id)

    assert second.created_at - first.created_at == pytest.approx(40.0)


def test_parts_of_an_earlier_version_are_readable(database: Database) -> None:
    """They have no times, no name of a step, and a line that follows from their position."""
    task = store_task(database)
    add(database, task, step_of(task), "3\n4\n5")
    position = {"stdout_lines": 3, "stdout_open": 1, "stderr_lines": 1, "stderr_open": 0}
    earlier = {"line": None, "stderr": None, "line_times": None, "step_name": None, "position": position}
    with database.transaction() as tx:
        tx.execute(update(log_parts).values(**earlier))

    [part] = log_of(database, task.id)

    assert (part.line, part.source, part.stderr, part.times_ms) == (3, LogSource.CONTAINER, [], None)
    with database.reading() as tx:
        assert logs.position(tx, step_of(task)) == part.position
    assert (part.position.line, part.position.open_source) == (5, LogSource.CONTAINER)


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
