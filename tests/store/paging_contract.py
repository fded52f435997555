"""What lists of jobs show."""

import random
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Connection, delete, func, insert, select, text, update

from tests.domain.samples import RANDOM, job_definition, new_id
from tests.store.plans import plan_of
from tests.store.stores import change_job
from tork_celery.domain import search, transitions
from tork_celery.domain.definition import Permission
from tork_celery.domain.model import Job, ListedJob
from tork_celery.domain.search import EVERYTHING
from tork_celery.domain.states import JobState
from tork_celery.domain.user import User
from tork_celery.store import Database, job_counts, job_pages, jobs
from tork_celery.store.tables import job_tags
from tork_celery.store.tables import jobs as table


def add(database: Database, **values: Any) -> Job:
    """Store a job."""
    plan = transitions.submit(job_definition(**values), now=1000.0, random=RANDOM)
    with database.transaction() as tx:
        jobs.add(tx, plan.job)
    return plan.job


def move(database: Database, job: Job, state: JobState) -> None:
    change_job(database, job, state=state)


def renumber(database: Database, job: Job, seq: int) -> None:
    """Store the job anew with a number further on."""
    with database.transaction() as tx:
        row = tx.execute(select(table).where(table.c.id == job.id)).one()
        jobs.remove(tx, job.id)
        tx.execute(insert(table).values({**row._mapping, "seq": seq}))


def found(database: Database, query: str, *, number: int = 1, size: int = 20) -> list[str]:
    """The names of the jobs on a page."""
    with database.reading() as tx:
        items, _ = job_pages.page(tx, search.parse(query), number=number, size=size)
    return [job.definition.name for job in items]


def total(database: Database, query: str = "") -> int:
    with database.reading() as tx:
        return job_pages.page(tx, search.parse(query), number=1, size=1)[1]


def counted(database: Database) -> dict[str, int]:
    """How many jobs there are by term, counted."""
    with database.reading() as tx:
        by_state = tx.execute(select(table.c.state, func.count()).group_by(table.c.state)).all()
        by_tag = tx.execute(select(job_tags.c.tag, func.count()).group_by(job_tags.c.tag)).all()
        everything = tx.scalar(select(func.count()).select_from(table)) or 0
    kept = {f"status:{state}": number for state, number in by_state}
    return {"": everything} | kept | {f"tag:{tag}": number for tag, number in by_tag}


def kept(database: Database, terms: dict[str, int]) -> dict[str, int]:
    with database.reading() as tx:
        return {term: sum(number for _, number in job_counts.count_by_block(tx, term)) for term in terms}


def fill(database: Database, *, jobs_in_all: int) -> None:
    """Many small jobs, one in fifty of them with the tag `a` and the state FAILED."""
    with database.transaction() as tx:
        rows = [row_of(number) for number in range(jobs_in_all)]
        tx.execute(insert(table), rows)
        job_counts.fold(tx)
        if tx.dialect.name == "postgresql":
            tx.execute(text("ANALYZE"))


def row_of(number: int) -> dict[str, Any]:
    rare = number % 50 == 0
    summary = {"name": f"job {number}", "tags": ["a"] if rare else ["b"], "taskCount": 1}
    values = {
        "id": new_id(),
        "name": f"job {number}",
        "state": JobState.FAILED if rare else JobState.COMPLETED,
    }
    return values | {"summary": summary, "results": {}, "position": 1, "created_at": 1.0, "progress": 0.0}


PLANS = {
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
"""What is to be in the plan of a search."""


class PagingContract:
    def test_a_page_holds_the_newest_jobs_first(self, database: Database) -> None:
        made = [add(database, name=f"job {number}").definition.name for number in range(5)][::-1]

        shown = [found(database, "", number=number, size=2) for number in (1, 2, 3, 4)]

        assert shown == [made[:2], made[2:4], made[4:], []]
        assert total(database) == 5

    def test_an_item_has_what_a_summary_shows(self, database: Database) -> None:
        job = add(database, name="n", description="d", tags=("t",), inputs={"i": "1"}, secrets={"s": "x"})
        with database.reading() as tx:
            [item], _ = job_pages.page(tx, EVERYTHING, number=1, size=1)

        shown = replace(job.definition, tasks=())
        values = {name: getattr(job, name) for name in job.__dataclass_fields__ if name != "definition"}
        assert item == ListedJob(**values, definition=shown, listed_tasks=1)
        assert item.task_count == job.task_count

    @pytest.mark.covers("Job.name", "Job.description", "Job.tags")
    def test_a_job_is_found_by_its_words_tags_and_state(self, database: Database) -> None:
        one = add(database, name="convert video", description="nightly, to mp4", tags=("media", "two words"))
        add(database, name="resize images", tags=("media",))
        move(database, one, JobState.FAILED)

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
        ):
            assert found(database, query) == ["convert video"], query
            assert total(database, query) == 1, query
        for query in (
            "vid convert",
            "sunset",
            "tag:video",
            "status:running",
            "tag:media tag:no sunset",
            "!!!",
        ):
            assert found(database, query) == [], query
            assert total(database, query) == 0, query
        for query in ("tag:media", "tag:media status:failed status:scheduled", "tags:media,none"):
            assert found(database, query) == ["resize images", "convert video"], query

    def test_a_word_may_be_in_a_path_or_a_name_with_dashes(self, database: Database) -> None:
        add(database, name="one", description="writes /data/out-dir/film.mp4 (x_y@host.org, 100%)")

        for query in ("out", "out-dir", "film", "mp4", "film.mp4", "x_y", "y", "host.org", "org", "100%"):
            assert found(database, query) == ["one"], query

    @pytest.mark.parametrize(
        "query", ['"', "'", "a OR b", "NEAR(a b)", "* ^ -", "\\", ":*", "a & !b", "🙂", "%s", "—"]
    )
    def test_no_text_is_syntax(self, database: Database, query: str) -> None:
        add(database, name="x")

        assert found(database, query) == []

    def test_many_words_are_searched_for(self, database: Database) -> None:
        add(database, name="x", description=" ".join(f"{number:x}" for number in range(300)))

        assert found(database, " ".join(f"{number:x}" for number in range(300))) == ["x"]

    def test_counts_are_exact_whatever_happens_to_jobs(self, database: Database) -> None:
        chance = random.Random(1)
        made = [add(database, tags=chance.sample(["a", "b", "c"], chance.randint(0, 3))) for _ in range(30)]
        for job in made:
            move(database, job, chance.choice(list(JobState)))
        for job in made[::3]:
            with database.transaction() as tx:
                jobs.remove(tx, job.id)
        begun = add(database, tags=("a", "a"))
        with database.transaction() as tx:
            jobs.start(tx, begun.id)

        expected = counted(database)
        assert kept(database, expected) == expected
        with database.transaction() as tx:
            job_counts.fold(tx, limit=10)
        assert kept(database, expected) == expected
        for query, number in expected.items():
            assert (total(database, query), len(found(database, query))) == (number, min(20, number)), query

    def test_what_is_rolled_back_is_not_counted(self, database: Database) -> None:
        job = add(database, tags=("a",))
        expected = counted(database)

        def fail(tx: Connection) -> None:
            jobs.add(tx, transitions.submit(job_definition(tags=("a",)), now=1.0, random=RANDOM).job)
            jobs.save(tx, replace(job, state=JobState.FAILED))
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError), database.transaction() as tx:
            fail(tx)

        assert counted(database) == expected == kept(database, expected)
        assert total(database, "failed") == 0

    def test_counts_of_nothing_are_not_kept(self, database: Database) -> None:
        job = add(database, tags=("a",))
        move(database, job, JobState.FAILED)
        with database.transaction() as tx:
            jobs.remove(tx, job.id)
        with database.transaction() as tx:
            job_counts.fold(tx)
            assert tx.scalar(text("SELECT count(*) FROM job_counts")) == 0

    def test_what_is_gone_is_not_found(self, database: Database) -> None:
        add(database, name="stays", tags=("a",))
        job = add(database, name="goes", description="with words", tags=("a",))
        with database.transaction() as tx:
            jobs.remove(tx, job.id)

        for query in ("", "a", "tag:a", "status:scheduled"):
            assert found(database, query) == ["stays"], query
        assert found(database, "words") == []

    def test_pages_far_down_skip_what_is_missing(self, database: Database) -> None:
        """Over several blocks, with holes in them."""
        names = [str(number) for number in range(40)]
        for name in names:
            job = add(database, name=name, tags=("even",) if int(name) % 2 == 0 else ())
            renumber(database, job, 10_000 + int(name) * 131)
        names.reverse()
        even = [name for name in names if int(name) % 2 == 0]

        for query, expected in (("", names), ("status:scheduled", names), ("tag:even", even)):
            for number in range(1, 8):
                assert found(database, query, number=number, size=7) == expected[7 * number - 7 : 7 * number]

    def test_a_search_ends_with_its_first_matches(
        self, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(job_pages, "MAX_MATCHES", 3)
        for number in range(5):
            add(database, name=f"job {number}", tags=("a", "b"))

        for query in ("job", "tag:a tag:b", "tag:a status:scheduled", "scheduled"):
            assert found(database, query) == ["job 4", "job 3", "job 2"], query
            assert total(database, query) == 3

    def test_only_what_is_visible_is_shown(self, database: Database) -> None:
        add(database, name="mine", tags=("a",), permissions=(Permission(user="mia"),))
        add(database, name="theirs", tags=("a",), permissions=(Permission(user="tom"),))
        mia = User(username="mia", name="Mia", password_hash="", created_at=1.0)
        admin = replace(mia, username="al", roles=frozenset({"admin"}))

        with database.reading() as tx:
            for query in ("", "tag:a", "status:scheduled", "scheduled", "a", "tag:a status:scheduled"):
                wanted = search.parse(query)
                items, number = job_pages.page(tx, wanted, number=1, size=5, viewer=mia)
                assert ([job.definition.name for job in items], number) == (["mine"], 1), query
                assert job_pages.page(tx, wanted, number=1, size=5, viewer=admin)[1] == 2

    def test_a_job_of_any_size_is_stored_and_found(self, database: Database) -> None:
        tags = tuple(f"tag{number}" for number in range(1500))
        add(database, name="big", description="x" * 5000 + " " + "word " * 400_000, tags=tags)

        assert (
            found(database, "tag:tag0") == found(database, "tag:tag999") == found(database, "big") == ["big"]
        )
        assert found(database, "tag:tag1000") == []
        with database.transaction() as tx:
            tx.execute(update(table).values(state=JobState.FAILED))
            tx.execute(delete(table))
        assert total(database) == total(database, "tag:tag0") == total(database, "big") == 0

    @pytest.mark.parametrize("query", PLANS)
    def test_pages_are_read_from_indexes(self, database: Database, query: str) -> None:
        fill(database, jobs_in_all=1000)
        with database.reading() as tx:
            wanted = search.parse(query)
            if job_pages.counted_term(wanted) is not None:
                plan = plan_of(tx, job_pages.block_query(wanted, 1, offset=5, size=10))
            else:
                plan = plan_of(tx, job_pages.search_query(tx, wanted, None))

        for step in PLANS[query][tx.dialect.name]:
            assert step in plan
        for whole in ("SCAN jobs", "SCAN job_tags", "Seq Scan"):
            assert whole not in plan.replace("SCAN jobs USING INDEX", "")
        if job_pages.counted_term(wanted) is not None:
            assert "SORT" not in plan.upper().replace("TEMP B-TREE", "SORT")

    def test_counts_are_read_from_indexes(self, database: Database) -> None:
        fill(database, jobs_in_all=1000)
        with database.reading() as tx:
            plan = plan_of(tx, job_counts.block_query("tag:a"))
        assert "SCAN job_counts" not in plan
        assert "Seq Scan on job_counts" not in plan
