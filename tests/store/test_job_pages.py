"""Job lists are paged and searched, and their counts are exact."""

import random
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest
from sqlalchemy import Connection, delete, text, update

from tests.domain.samples import RANDOM, job_definition
from tests.store.job_lists import (
    add_job,
    add_many_jobs,
    count_rows,
    listed_names,
    renumber,
    stored_counts,
    total,
)
from tests.store.query_plans import explain, explain_statements
from tests.store.stores import change_job
from tork_celery.domain import search, transitions
from tork_celery.domain.definition import Permission
from tork_celery.domain.model import ListedJob
from tork_celery.domain.search import EVERYTHING
from tork_celery.domain.states import JobState
from tork_celery.domain.user import User
from tork_celery.store import Database, job_counts, job_pages, jobs
from tork_celery.store.tables import jobs as job_table

INDEXES_BY_QUERY = {
    "": {"sqlite": ["USING INTEGER PRIMARY KEY"], "postgresql": ["pk_jobs"]},
    "status:failed": {"sqlite": ["ix_jobs_state_seq"], "postgresql": ["ix_jobs_state_seq"]},
    "tag:a": {"sqlite": ["SEARCH job_tags USING PRIMARY KEY"], "postgresql": ["pk_job_tags"]},
    "job": {"sqlite": ["SCAN job_texts VIRTUAL TABLE"], "postgresql": []},
    "234": {"sqlite": ["SCAN job_texts VIRTUAL TABLE"], "postgresql": []},
    "234 failed": {"sqlite": ["SCAN job_texts VIRTUAL TABLE"], "postgresql": []},
    "tag:a status:completed": {
        "sqlite": ["SEARCH job_tags USING PRIMARY KEY"],
        "postgresql": ["pk_job_tags"],
    },
}
"""Steps that the plan of a search must contain."""


def test_page_has_the_newest_jobs_first(database: Database) -> None:
    newest_first = [add_job(database, name=f"job {number}").definition.name for number in range(5)][::-1]

    pages = [listed_names(database, "", number=number, size=2) for number in (1, 2, 3, 4)]

    assert pages == [newest_first[:2], newest_first[2:4], newest_first[4:], []]
    assert total(database) == 5


def test_item_has_the_fields_of_a_summary(database: Database) -> None:
    job = add_job(database, name="n", description="d", tags=("t",), inputs={"i": "1"}, secrets={"s": "x"})
    with database.reading() as tx:
        [item], _ = job_pages.page(tx, EVERYTHING, number=1, size=1)

    summary = replace(job.definition, tasks=())
    values = {name: getattr(job, name) for name in job.__dataclass_fields__ if name != "definition"}
    assert item == ListedJob(**values, definition=summary, listed_tasks=1)
    assert item.task_count == job.task_count


@pytest.mark.covers("Job.name", "Job.description", "Job.tags")
def test_job_is_found_by_words_tags_and_state(database: Database) -> None:
    job = add_job(
        database, name="convert video", description="nightly, to mp4", tags=("media", "two words", "!!")
    )
    add_job(database, name="resize images", tags=("media",))
    change_job(database, job, state=JobState.FAILED)

    for query in (
        "video",
        "VIDEO convert",
        "nightly mp4",
        "conv",  # the beginning of a word
        "words",  # of a tag
        "failed",  # its state
        "video failed",
        'tag:"two words"',
        "status:failed",
        "status:FAILED video",
        "tag:media video",
        "tag:media status:failed",
        "tag:media status:failed nightly",
        'tag:none tag:"two words" vid',
        "tag:!! video",
    ):
        assert listed_names(database, query) == ["convert video"], query
        assert total(database, query) == 1, query
    for query in (
        "vid convert",
        "sunset",
        "tag:video",
        "status:running",
        "tag:media tag:no sunset",
        "tag:words video",  # a word of a tag
        "!!!",
    ):
        assert listed_names(database, query) == [], query
        assert total(database, query) == 0, query
    for query in ("tag:media", "tag:media status:failed status:scheduled", "tags:media,none"):
        assert listed_names(database, query) == ["resize images", "convert video"], query


def test_words_in_paths_and_dashed_names_are_found(database: Database) -> None:
    add_job(database, name="one", description="writes /data/out-dir/film.mp4 (x_y@host.org, 100%)")

    for query in ("out", "out-dir", "film", "mp4", "film.mp4", "x_y", "y", "host.org", "org", "100%"):
        assert listed_names(database, query) == ["one"], query


@pytest.mark.parametrize(
    "query", ['"', "'", "a OR b", "NEAR(a b)", "* ^ -", "\\", ":*", "a & !b", "🙂", "%s", "—"]
)
def test_query_text_is_never_syntax(database: Database, query: str) -> None:
    add_job(database, name="x")

    assert listed_names(database, query) == []


def test_query_may_have_many_words(database: Database) -> None:
    words = " ".join(f"{number:x}" for number in range(300))
    add_job(database, name="x", description=words)

    assert listed_names(database, words) == ["x"]


def test_counts_are_exact_after_changes_and_removals(database: Database) -> None:
    chance = random.Random(1)
    added = [add_job(database, tags=chance.sample(["a", "b", "c"], chance.randint(0, 3))) for _ in range(30)]
    for job in added:
        change_job(database, job, state=chance.choice(list(JobState)))
    for job in added[::3]:
        with database.transaction() as tx:
            jobs.remove(tx, job.id)
    started = add_job(database, tags=("a", "a"))
    with database.transaction() as tx:
        jobs.start(tx, started.id)

    expected = count_rows(database)
    assert stored_counts(database, expected) == expected
    with database.transaction() as tx:
        job_counts.fold(tx, limit=10)
    assert stored_counts(database, expected) == expected
    for query, number in expected.items():
        assert total(database, query) == number, query
        assert len(listed_names(database, query)) == min(20, number), query


def test_rolled_back_changes_are_not_counted(database: Database) -> None:
    job = add_job(database, tags=("a",))
    expected = count_rows(database)

    def fail(tx: Connection) -> None:
        jobs.add(tx, [transitions.submit(job_definition(tags=("a",)), now=1.0, random=RANDOM).job])
        jobs.save(tx, replace(job, state=JobState.FAILED))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), database.transaction() as tx:
        fail(tx)

    assert count_rows(database) == expected == stored_counts(database, expected)
    assert total(database, "failed") == 0


def test_zero_counts_are_deleted(database: Database) -> None:
    job = add_job(database, tags=("a",))
    change_job(database, job, state=JobState.FAILED)
    with database.transaction() as tx:
        jobs.remove(tx, job.id)
    with database.transaction() as tx:
        job_counts.fold(tx)
        assert tx.scalar(text("SELECT count(*) FROM job_counts")) == 0


def test_removed_job_is_not_found(database: Database) -> None:
    add_job(database, name="stays", tags=("a",))
    job = add_job(database, name="goes", description="with words", tags=("a",))
    with database.transaction() as tx:
        jobs.remove(tx, job.id)

    for query in ("", "a", "tag:a", "status:scheduled"):
        assert listed_names(database, query) == ["stays"], query
    assert listed_names(database, "words") == []


def test_pages_span_blocks_with_gaps(database: Database) -> None:
    names = [str(number) for number in range(40)]
    for name in names:
        job = add_job(database, name=name, tags=("even",) if int(name) % 2 == 0 else ())
        renumber(database, job, 10_000 + int(name) * 131)
    names.reverse()
    even = [name for name in names if int(name) % 2 == 0]

    for query, expected in (("", names), ("status:scheduled", names), ("tag:even", even)):
        for number in range(1, 8):
            page = listed_names(database, query, number=number, size=7)
            assert page == expected[7 * number - 7 : 7 * number]


def test_search_is_cut_off_at_the_newest_matches(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_pages, "MAX_MATCHES", 3)
    for number in range(5):
        add_job(database, name=f"job {number}", tags=("a", "b"))

    for query in ("job", "tag:a tag:b", "tag:a status:scheduled", "scheduled"):
        assert listed_names(database, query) == ["job 4", "job 3", "job 2"], query
        assert total(database, query) == 3


def test_only_visible_jobs_are_listed(database: Database) -> None:
    add_job(database, name="mine", tags=("a",), permissions=(Permission(user="mia"),))
    add_job(database, name="theirs", tags=("a",), permissions=(Permission(user="tom"),))
    mia = User(username="mia", name="Mia", password_hash="", created_at=1.0)
    admin = replace(mia, username="al", roles=frozenset({"admin"}))

    with database.reading() as tx:
        for query in ("", "tag:a", "status:scheduled", "scheduled", "a", "tag:a status:scheduled"):
            parsed = search.parse(query)
            items, number = job_pages.page(tx, parsed, number=1, size=5, viewer=mia)
            assert ([job.definition.name for job in items], number) == (["mine"], 1), query
            assert job_pages.page(tx, parsed, number=1, size=5, viewer=admin)[1] == 2


def test_large_job_is_stored_and_found(database: Database) -> None:
    tags = tuple(f"tag{number}" for number in range(1500))
    add_job(database, name="big", description="x" * 5000 + " " + "word " * 400_000, tags=tags)

    for query in ("tag:tag0", "tag:tag999", "big"):
        assert listed_names(database, query) == ["big"]
    assert listed_names(database, "tag:tag1000") == []
    with database.transaction() as tx:
        tx.execute(update(job_table).values(state=JobState.FAILED))
        tx.execute(delete(job_table))
    assert total(database) == total(database, "tag:tag0") == total(database, "big") == 0


def explain_page(tx: Connection, page: Callable[[Connection], object]) -> list[str]:
    """Return the plans of the statements that read jobs, without those that read counts of blocks."""
    return [plan for plan in explain_statements(tx, page).split("\n\n") if plan.startswith("SELECT jobs")]


@pytest.mark.parametrize("query", INDEXES_BY_QUERY)
def test_pages_are_read_from_indexes(database: Database, query: str) -> None:
    add_many_jobs(database, 1000)
    parsed = search.parse(query)
    counted = job_pages.counted_term(parsed) is not None
    with database.reading() as tx:
        if counted:
            plan = "".join(
                statement
                for number in (1, 3)
                for statement in explain_page(
                    tx, partial(job_pages.page, search=parsed, number=number, size=10)
                )
            )
        else:
            plan = explain(tx, job_pages.search_query(tx, parsed))

    for step in INDEXES_BY_QUERY[query][tx.dialect.name]:
        assert step in plan
    # The newest of all jobs are the first rows of a scan, which stops after a page.
    for full_scan in ("SCAN jobs" if query else "SCAN jobs USING", "SCAN job_tags", "Seq Scan"):
        assert full_scan not in plan.replace("SCAN jobs USING INDEX", "")
    if counted:
        assert "SORT" not in plan.upper().replace("TEMP B-TREE", "SORT")


def test_counts_are_read_from_indexes(database: Database) -> None:
    add_many_jobs(database, 1000)
    with database.reading() as tx:
        plan = explain_statements(tx, lambda tx: job_counts.count_by_block(tx, "tag:a"))
    assert "SCAN job_counts" not in plan
    assert "Seq Scan on job_counts" not in plan
