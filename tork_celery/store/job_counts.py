"""How many jobs there are, in all, with a tag and in a state: kept by triggers, not counted.

A count is kept for each block of BLOCK numbers in a row, so that a page far down is found by adding up the
blocks above it. On PostgreSQL the triggers only note changes, so that no transaction waits for the row that
another one counts in; `fold` adds them to the counts. On SQLite, where writers come one after another, the
counts are changed at once.
"""

from typing import Any

from sqlalchemy import Connection, Select, delete, func, select, text, tuple_, union_all

from tork_celery.domain.states import JobState
from tork_celery.store.tables import job_count_changes, job_counts

BLOCK = 1000
"""As in the triggers."""

ALL = ""


def of_tag(tag: str) -> str:
    return f"tag:{tag}"


def of_state(state: JobState) -> str:
    return f"status:{state}"


def by_block(tx: Connection, term: str) -> list[tuple[int, int]]:
    """The blocks that hold jobs, the newest first, each with how many."""
    return [(block, int(number)) for block, number in tx.execute(blocks(term))]


def blocks(term: str) -> Select[Any]:
    parts = union_all(
        *(select(kept.c.block, kept.c.number).where(kept.c.term == term) for kept in _TABLES)
    ).subquery()
    number = func.sum(parts.c.number)
    query = select(parts.c.block, number).group_by(parts.c.block).having(number > 0)
    return query.order_by(parts.c.block.desc())


def total(tx: Connection, *terms: str) -> int:
    sums = [select(func.sum(kept.c.number)).where(kept.c.term.in_(terms)) for kept in _TABLES]
    return sum(int(tx.scalar(query) or 0) for query in sums)


def fold(tx: Connection, *, limit: int = 50_000) -> None:
    """Add up to so many of the noted changes to the counts."""
    if tx.dialect.name != "postgresql" or tx.scalar(select(job_count_changes.c.id).limit(1)) is None:
        return
    tx.execute(text("LOCK TABLE job_counts IN SHARE ROW EXCLUSIVE MODE"))  # one at a time; readers go on
    empty = [(row.term, row.block) for row in tx.execute(_FOLD, {"limit": limit}) if row.number == 0]
    if empty:
        tx.execute(delete(job_counts).where(tuple_(job_counts.c.term, job_counts.c.block).in_(empty)))


_TABLES = (job_counts, job_count_changes)
_FOLD = text("""
    WITH gone AS (
        DELETE FROM job_count_changes
        WHERE id IN (SELECT id FROM job_count_changes ORDER BY id LIMIT :limit)
        RETURNING term, block, number
    )
    INSERT INTO job_counts AS kept (term, block, number)
    SELECT term, block, sum(number) FROM gone GROUP BY term, block
    ON CONFLICT (term, block) DO UPDATE SET number = kept.number + excluded.number
    RETURNING term, block, number
""")
