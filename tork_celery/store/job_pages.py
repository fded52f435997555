"""Pages of the job list, newest first.

The lists of all jobs, of one tag and of one state use the counts of `job_counts`. Any other list is a search,
which is cut off at the newest MAX_MATCHES jobs.
"""

import functools
from collections.abc import Iterator, Sequence
from operator import attrgetter
from typing import Any

from sqlalchemy import Connection, Row, Select, bindparam, exists, func, literal_column, select, union
from sqlalchemy.sql.elements import ColumnElement

from tork_celery.domain.codec import decode
from tork_celery.domain.definition import JobDefinition
from tork_celery.domain.job_filter import NO_FILTER, JobFilter
from tork_celery.domain.model import ListedJob
from tork_celery.domain.search import EVERYTHING, Search, tokens
from tork_celery.domain.states import JobState
from tork_celery.domain.user import User
from tork_celery.store import job_counts, job_filters, permissions
from tork_celery.store.jobs import LISTED_COLUMNS, is_not_deleted, listed_values
from tork_celery.store.tables import job_tags, job_texts, jobs

MAX_MATCHES = 10_000
_COLUMNS = (jobs.c.seq, jobs.c.summary, jobs.c.secrets, *LISTED_COLUMNS)
LISTED_JOBS = select(*_COLUMNS).where(is_not_deleted())
_OF_SEQS = LISTED_JOBS.where(jobs.c.seq.in_(bindparam("seqs", expanding=True)))


def page(
    tx: Connection,
    search: Search = EVERYTHING,
    *,
    number: int,
    size: int,
    viewer: User | None = None,
    wanted: JobFilter = NO_FILTER,
) -> tuple[list[ListedJob], int]:
    """Return page `number` (from 1) of the jobs that `viewer` may see, and the total number of jobs.

    The total of a search or filter is at most MAX_MATCHES, and so is that for a viewer who is not an admin.
    """
    visible = [] if viewer is None or viewer.is_admin else [permissions.visible(viewer)]
    required = [*visible, *job_filters.conditions(tx, wanted)]
    offset = (number - 1) * size
    if search.impossible:
        return [], 0
    if not required and (term := counted_term(search)) is not None:
        return _counted_page(tx, search, term, offset=offset, size=size)
    matches = tx.scalars(search_query(tx, search, required)).all()
    return listed(tx.execute(_OF_SEQS, {"seqs": matches[offset : offset + size]}).all()), len(matches)


def counted_term(search: Search) -> str | None:
    """Return the term of `job_counts` that a search equals, if there is one."""
    if search.words or len(search.tags) + len(search.states) > 1:
        return None
    if search.tags:
        return job_counts.tag_term(search.tags[0])
    return job_counts.state_term(search.states[0]) if search.states else job_counts.ALL


def _counted_page(
    tx: Connection, search: Search, term: str, *, offset: int, size: int
) -> tuple[list[ListedJob], int]:
    """Return a page of the jobs of a term, and their number. The first page takes one query."""
    page: dict[str, Any] = {"value": (*search.tags, *search.states, "")[0], "size": size}
    kind = term.partition(":")[0]
    if offset == 0 and (rows := tx.execute(_first_page(kind), page | {"term": term}).all()):
        return listed(rows), int(rows[0].total)
    blocks = job_counts.count_by_block(tx, term)
    total = sum(count for _, count in blocks)
    for block, count in blocks:
        if offset < count:
            below = (block + 1) * job_counts.BLOCK
            return listed(tx.execute(_page(kind), page | {"below": below, "offset": offset}).all()), total
        offset -= count
    return [], total


@functools.cache
def _first_page(kind: str) -> Select[Any]:
    """Select the newest jobs of a term, in any order, each with the `total` of all."""
    seqs = _seqs(kind).limit(bindparam("size")).subquery()
    return LISTED_JOBS.join(seqs, seqs.c.seq == jobs.c.seq).add_columns(job_counts.TOTAL.label("total"))


@functools.cache
def _page(kind: str) -> Select[Any]:
    """Select jobs of a term, in any order, from `offset` in descending order below a number on."""
    below = _seqs(kind).where(literal_column("seq") < bindparam("below"))
    seqs = below.limit(bindparam("size")).offset(bindparam("offset")).subquery()
    return LISTED_JOBS.join(seqs, seqs.c.seq == jobs.c.seq)


def _seqs(kind: str) -> Select[Any]:
    """Select the numbers of the jobs of a kind of term in descending order, by an index."""
    if kind == job_counts.TAG:
        return (
            select(job_tags.c.seq).where(job_tags.c.tag == bindparam("value")).order_by(job_tags.c.seq.desc())
        )
    newest = select(jobs.c.seq).order_by(jobs.c.seq.desc())
    return newest.where(jobs.c.state == bindparam("value")) if kind == job_counts.STATE else newest


def search_query(tx: Connection, search: Search, required: Sequence[ColumnElement[bool]] = ()) -> Select[Any]:
    """Select the newest MAX_MATCHES matches of any search that also meet all `required` conditions on `jobs`.

    Words are searched in the texts of jobs, which never change. A word that names a state also matches the
    jobs in this state.
    """
    alternatives = [
        select(query.order_by(literal_column("seq").desc()).limit(MAX_MATCHES).subquery().c.seq)
        for query in _alternatives(tx, search, required)
    ]
    matches = union(*alternatives).subquery()
    return select(matches.c.seq).order_by(matches.c.seq.desc()).limit(MAX_MATCHES)


def _alternatives(
    tx: Connection, search: Search, required: Sequence[ColumnElement[bool]]
) -> Iterator[Select[Any]]:
    yield _search(tx, search.words, search.tags, search.states, required)
    for word in search.words:
        state = JobState.__members__.get(word.upper())
        if state and (not search.states or state in search.states):
            others = tuple(other for other in search.words if other != word)
            yield _search(tx, others, search.tags, (state,), required)


def _search(
    tx: Connection,
    words: Sequence[str],
    tags: Sequence[str],
    states: Sequence[JobState],
    required: Sequence[ColumnElement[bool]],
) -> Select[Any]:
    """Select the jobs that match all criteria, starting from the criterion with the fewest jobs."""
    has_tag = exists().where(job_tags.c.tag.in_(tags))
    filters = [*([jobs.c.state.in_(states)] if states else []), *required]
    if words:
        query = select(job_texts.c.rowid.label("seq")).where(has_words(tx, words, tags))
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


def has_words(tx: Connection, words: Sequence[str], tags: Sequence[str] = ()) -> ColumnElement[bool]:
    """Return a condition on `job_texts`: it has all the words, the last one also as a prefix.

    It also has the words of one of the tags, which are part of the texts, so that a common word and a rare
    tag take a short search. The words are tokens of `domain.search`, so they contain no query syntax.
    """
    is_sqlite = tx.dialect.name == "sqlite"
    quote, and_, or_, prefix = ('"', " AND ", " OR ", "*") if is_sqlite else ("'", " & ", " | ", ":*")

    def all_of(words: Sequence[str]) -> str:
        return and_.join(f"{quote}{word}{quote}" for word in words)

    query = all_of(words) + prefix
    of_tags = [tokens(tag) for tag in tags]
    if all(of_tags):  # and not only punctuation
        query = and_.join([*([f"({or_.join(map(all_of, of_tags))})"] if of_tags else []), query])
    if is_sqlite:
        return literal_column("job_texts").op("MATCH")(query)
    # a subquery, so that it is parsed once
    parsed = select(func.to_tsquery(literal_column("'simple'"), query)).scalar_subquery()
    return job_texts.c.text.op("@@")(parsed)


def listed(rows: Sequence[Row[Any]]) -> list[ListedJob]:
    """Return the jobs of a page, newest first."""
    return [_listed_job(row) for row in sorted(rows, key=attrgetter("seq"), reverse=True)]


def _listed_job(row: Row[Any]) -> ListedJob:
    summary = dict(row.summary)
    task_count = summary.pop("taskCount")
    definition = decode(JobDefinition, summary | {"tasks": [], "secrets": row.secrets})
    return ListedJob(**listed_values(row), definition=definition, listed_tasks=task_count)
