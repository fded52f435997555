"""Helpers for tests of job lists and job counts."""

from typing import Any

from sqlalchemy import func, insert, select, text

from tests.domain.samples import RANDOM, job_definition, new_id
from tork_celery.domain import search, transitions
from tork_celery.domain.model import Job
from tork_celery.domain.states import JobState
from tork_celery.store import Database, job_counts, job_pages, jobs
from tork_celery.store.tables import job_tags
from tork_celery.store.tables import jobs as job_table


def add_job(database: Database, **values: Any) -> Job:
    """Store a SCHEDULED job whose definition has these values."""
    plan = transitions.submit(job_definition(**values), now=1000.0, random=RANDOM)
    with database.transaction() as tx:
        jobs.add(tx, [plan.job])
    return plan.job


def add_many_jobs(database: Database, number: int) -> None:
    """Store small COMPLETED jobs with the tag `b`; every 50th is FAILED and has the tag `a`."""
    with database.transaction() as tx:
        tx.execute(insert(job_table), [_row(index) for index in range(number)])
        job_counts.fold(tx)
        if tx.dialect.name == "postgresql":
            tx.execute(text("ANALYZE"))


def _row(index: int) -> dict[str, Any]:
    name, failed = f"job {index}", index % 50 == 0
    return {
        "id": new_id(),
        "name": name,
        "state": JobState.FAILED if failed else JobState.COMPLETED,
        "summary": {"name": name, "tags": ["a"] if failed else ["b"], "taskCount": 1},
        "done_tasks": 1,
        "created_at": 1.0,
        "progress": 0.0,
    }


def renumber(database: Database, job: Job, seq: int) -> None:
    """Store the job again under another number."""
    with database.transaction() as tx:
        row = tx.execute(select(job_table).where(job_table.c.id == job.id)).one()
        jobs.remove(tx, job.id)
        values = {column.key: row._mapping[column] for column in job_table.c}
        tx.execute(insert(job_table).values(values | {"seq": seq}))


def listed_names(database: Database, query: str, *, number: int = 1, size: int = 20) -> list[str]:
    """Return the names of the jobs on a page."""
    with database.reading() as tx:
        items, _ = job_pages.page(tx, search.parse(query), number=number, size=size)
    return [job.definition.name for job in items]


def total(database: Database, query: str = "") -> int:
    with database.reading() as tx:
        return job_pages.page(tx, search.parse(query), number=1, size=1)[1]


def count_rows(database: Database) -> dict[str, int]:
    """Count the jobs by term from the rows themselves."""
    with database.reading() as tx:
        by_state = tx.execute(select(job_table.c.state, func.count()).group_by(job_table.c.state)).all()
        by_tag = tx.execute(select(job_tags.c.tag, func.count()).group_by(job_tags.c.tag)).all()
        everything = tx.scalar(select(func.count()).select_from(job_table)) or 0
    states = {f"status:{state}": number for state, number in by_state}
    return {"": everything} | states | {f"tag:{tag}": number for tag, number in by_tag}


def stored_counts(database: Database, terms: dict[str, int]) -> dict[str, int]:
    """Return the counts that the triggers maintain, for the same terms."""
    with database.reading() as tx:
        return {term: sum(count for _, count in job_counts.count_by_block(tx, term)) for term in terms}
