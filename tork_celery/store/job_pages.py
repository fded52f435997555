"""Pages of the job list, newest first.

The lists of all jobs, of one tag and of one state use the counts of `job_counts`. Any other list is a search,
which is cut off at the newest MAX_MATCHES jobs.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, Row, Select, exists, func, literal_column, select, union
from sqlalchemy.sql.elements import ColumnElement

from tork_celery.domain.codec import decode
from tork_celery.domain.definition import JobDefinition
from tork_celery.domain.model import ListedJob
from tork_celery.domain.search import EVERYTHING, Search
from tork_celery.domain.states import JobState
from tork_celery.domain.user import User
from tork_celery.store import job_counts, permissions
from tork_celery.store.jobs import is_not_deleted, listed_values
from tork_celery.store.tables import job_tags, job_texts, jobs

MAX_MATCHES = 10_000


def page(
    tx: Connection,
    search: Search = EVERYTHING,
    *,
    number: int,
    size: int,
    viewer: User | None = None,
) -> tuple[list[ListedJob], int]:
    """Return page `number` (from 1) of the jobs that `viewer` may see, and the total number of jobs.

    The total of a search is at most MAX_MATCHES, and so is the total for a viewer who is not an admin.
    """
    visible = None if viewer is None or viewer.is_admin else permissions.visible(viewer)
    offset = (number - 1) * size
    if search.impossible:
        return [], 0
    if visible is None and (term := counted_term(search)) is not None:
        blocks = job_counts.count_by_block(tx, term)
        seqs, total = _page_of_term(tx, search, blocks, offset=offset, size=size)
    else:
        matches = tx.scalars(search_query(tx, search, visible)).all()
        seqs, total = matches[offset : offset + size], len(matches)
    rows = tx.execute(select(jobs).where(jobs.c.seq.in_(seqs), is_not_deleted()).order_by(jobs.c.seq.desc()))
    return [_listed_job(row) for row in rows], total


def counted_term(search: Search) -> str | None:
    """Return the term of `job_counts` that a search equals, if there is one."""
    if search.words or len(search.tags) + len(search.states) > 1:
        return None
    if search.tags:
        return job_counts.tag_term(search.tags[0])
    return job_counts.state_term(search.states[0]) if search.states else job_counts.ALL


def _page_of_term(
    tx: Connection, search: Search, blocks: Sequence[tuple[int, int]], *, offset: int, size: int
) -> tuple[Sequence[int], int]:
    total = sum(count for _, count in blocks)
    for block, count in blocks:
        if offset < count:
            return tx.scalars(block_query(search, block, offset=offset, size=size)).all(), total
        offset -= count
    return [], total


def block_query(search: Search, block: int, *, offset: int, size: int) -> Select[Any]:
    """Select jobs of a counted term in descending order, from `offset` within `block`."""
    if search.tags:
        seq, condition = job_tags.c.seq, [job_tags.c.tag == search.tags[0]]
    else:
        seq, condition = jobs.c.seq, [jobs.c.state == state for state in search.states]
    query = select(seq).where(*condition, seq < (block + 1) * job_counts.BLOCK)
    return query.order_by(seq.desc()).limit(size).offset(offset)


def search_query(tx: Connection, search: Search, visible: ColumnElement[bool] | None) -> Select[Any]:
    """Select the newest MAX_MATCHES matches of any search.

    Words are searched in the texts of jobs, which never change. A word that names a state also matches the
    jobs in this state.
    """
    alternatives = [
        select(query.order_by(literal_column("seq").desc()).limit(MAX_MATCHES).subquery().c.seq)
        for query in _alternatives(tx, search, visible)
    ]
    matches = union(*alternatives).subquery()
    return select(matches.c.seq).order_by(matches.c.seq.desc()).limit(MAX_MATCHES)


def _alternatives(
    tx: Connection, search: Search, visible: ColumnElement[bool] | None
) -> Iterator[Select[Any]]:
    yield _search(tx, search.words, search.tags, search.states, visible)
    for word in search.words:
        state = JobState.__members__.get(word.upper())
        if state and (not search.states or state in search.states):
            others = tuple(other for other in search.words if other != word)
            yield _search(tx, others, search.tags, (state,), visible)


def _search(
    tx: Connection,
    words: Sequence[str],
    tags: Sequence[str],
    states: Sequence[JobState],
    visible: ColumnElement[bool] | None,
) -> Select[Any]:
    """Select the jobs that match all criteria, starting from the criterion with the fewest jobs."""
    has_tag = exists().where(job_tags.c.tag.in_(tags))
    filters = ([jobs.c.state.in_(states)] if states else []) + ([] if visible is None else [visible])
    if words:
        query = select(job_texts.c.rowid.label("seq")).where(has_words(tx, words))
        query = query.where(has_tag.where(job_tags.c.seq == job_texts.c.rowid)) if tags else query
        return query.join(jobs, jobs.c.seq == job_texts.c.rowid).where(*filters) if filters else query
    if tags and not _states_are_rarer(tx, states, tags):
        query = select(job_tags.c.seq).where(job_tags.c.tag.in_(tags)).distinct()
        return query.join(jobs, jobs.c.seq == job_tags.c.seq).where(*filters) if filters else query
    query = select(jobs.c.seq).where(*filters)
    return query.where(has_tag.where(job_tags.c.seq == jobs.c.seq)) if tags else query


def _states_are_rarer(tx: Connection, states: Sequence[JobState], tags: Sequence[str]) -> bool:
    """Return whether fewer jobs are in one of the states than have one of the tags."""
    if not states:
        return False
    in_states = job_counts.total(tx, *map(job_counts.state_term, states))
    return in_states < job_counts.total(tx, *map(job_counts.tag_term, tags))


def has_words(tx: Connection, words: Sequence[str]) -> ColumnElement[bool]:
    """Return a condition on `job_texts`: it has all the words, the last one also as a prefix.

    The words are tokens of `domain.search`, so they contain no query syntax.
    """
    if tx.dialect.name == "sqlite":
        quoted = " ".join(f'"{word}"' for word in words)
        return literal_column("job_texts").op("MATCH")(quoted + "*")
    quoted = " & ".join(f"'{word}'" for word in words)
    # a subquery, so that it is parsed once
    parsed = select(func.to_tsquery(literal_column("'simple'"), quoted + ":*")).scalar_subquery()
    return job_texts.c.text.op("@@")(parsed)


def _listed_job(row: Row[Any]) -> ListedJob:
    summary = dict(row.summary)
    task_count = summary.pop("taskCount")
    definition = decode(JobDefinition, summary | {"tasks": [], "secrets": row.secrets})
    return ListedJob(**listed_values(row), definition=definition, listed_tasks=task_count)
