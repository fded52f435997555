"""Counts of jobs, maintained by triggers: all jobs, jobs with a tag and jobs in a state.

A count is named by a term and split into blocks of BLOCK consecutive job numbers (`seq`). The block of any
page is found by adding up the counts of the blocks above it.

On SQLite, which has one writer at a time, the triggers update the counts directly. On PostgreSQL the triggers
append to `job_count_changes`, so that transactions do not wait for each other's count rows; `fold` adds these
changes to the counts.
"""

from sqlalchemy import Connection, bindparam, delete, func, select, text, tuple_, union_all

from tork_celery.domain.states import JobState
from tork_celery.store.tables import job_count_changes, job_counts

BLOCK = 1000
"""Numbers in a block. The triggers have the same constant."""

ALL = ""
"""Term of the count of all jobs."""
TAG, STATE = "tag", "status"
"""Kinds of terms, before their colon."""

_TABLES = (job_counts, job_count_changes)
_PARTS = union_all(
    *(select(table.c.block, table.c.number).where(table.c.term == bindparam("term")) for table in _TABLES)
).subquery()
_COUNT = func.sum(_PARTS.c.number)
_BY_BLOCK = (
    select(_PARTS.c.block, _COUNT).group_by(_PARTS.c.block).having(_COUNT > 0).order_by(_PARTS.c.block.desc())
)
TOTAL = select(func.coalesce(_COUNT, 0)).scalar_subquery()
"""Number of the jobs of the term that is bound as `term`."""


def tag_term(tag: str) -> str:
    return f"{TAG}:{tag}"


def state_term(state: JobState) -> str:
    return f"{STATE}:{state}"


def count_by_block(tx: Connection, term: str) -> list[tuple[int, int]]:
    """Return (block, count) of the blocks that have jobs, highest block first."""
    return [(block, int(count)) for block, count in tx.execute(_BY_BLOCK, {"term": term})]


def total(tx: Connection, *terms: str) -> int:
    """Return the sum of the counts of several terms."""
    sums = [select(func.sum(table.c.number)).where(table.c.term.in_(terms)) for table in _TABLES]
    return sum(int(tx.scalar(query) or 0) for query in sums)


def fold(tx: Connection, *, limit: int = 50_000) -> None:
    """Add up to `limit` recorded changes to the counts. Does nothing on SQLite."""
    if tx.dialect.name != "postgresql" or tx.scalar(select(job_count_changes.c.id).limit(1)) is None:
        return
    tx.execute(text("LOCK TABLE job_counts IN SHARE ROW EXCLUSIVE MODE"))  # blocks other folds, not readers
    folded = tx.execute(_FOLD, {"limit": limit})
    empty = [(row.term, row.block) for row in folded if row.number == 0]
    if empty:
        tx.execute(delete(job_counts).where(tuple_(job_counts.c.term, job_counts.c.block).in_(empty)))


_FOLD = text("""
    WITH changes AS (
        DELETE FROM job_count_changes
        WHERE id IN (SELECT id FROM job_count_changes ORDER BY id LIMIT :limit)
        RETURNING term, block, number
    )
    INSERT INTO job_counts AS counts (term, block, number)
    SELECT term, block, sum(number) FROM changes GROUP BY term, block
    ON CONFLICT (term, block) DO UPDATE SET number = counts.number + excluded.number
    RETURNING term, block, number
""")
