"""Jobs in pages, the newest first.

A list of all jobs, of those with one tag or in one state has its counts kept. Any other one is searched for,
up to its first MOST_FOUND jobs.
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
from tork_celery.store.jobs import standing
from tork_celery.store.tables import job_tags, job_texts, jobs

MOST_FOUND = 10_000
_SHOWN = [column for column in jobs.c if column is not jobs.c.results]


def page(
    tx: Connection,
    search: Search = EVERYTHING,
    *,
    number: int,
    size: int,
    viewer: User | None = None,
) -> tuple[list[ListedJob], int]:
    """One page of what `viewer` may see, `number` from 1, and how many jobs there are in all: at most the
    first MOST_FOUND for one who does not see everything."""
    visible = None if viewer is None or viewer.is_admin else permissions.visible(viewer)
    offset = (number - 1) * size
    if search.impossible:
        return [], 0
    if visible is None and (term := kept_term(search)) is not None:
        found, total = _of_term(tx, search, job_counts.by_block(tx, term), offset=offset, size=size)
    else:
        matches = tx.scalars(matching(tx, search, visible)).all()
        found, total = matches[offset : offset + size], len(matches)
    rows = tx.execute(select(*_SHOWN).where(jobs.c.seq.in_(found)).order_by(jobs.c.seq.desc()))
    return [_listed(row) for row in rows], total


def kept_term(search: Search) -> str | None:
    """What the search is for, if its counts are kept."""
    if search.words or len(search.tags) + len(search.states) > 1:
        return None
    if search.tags:
        return job_counts.of_tag(search.tags[0])
    return job_counts.of_state(search.states[0]) if search.states else job_counts.ALL


def _of_term(
    tx: Connection, search: Search, blocks: Sequence[tuple[int, int]], *, offset: int, size: int
) -> tuple[Sequence[int], int]:
    for block, number in blocks:
        if offset < number:
            query = from_block(search, block, skip=offset, size=size)
            return tx.scalars(query).all(), sum(number for _, number in blocks)
        offset -= number
    return [], sum(number for _, number in blocks)


def from_block(search: Search, block: int, *, skip: int, size: int) -> Select[Any]:
    """The jobs of all, a tag or a state, from the `skip`th of a block down."""
    if search.tags:
        seq, condition = job_tags.c.seq, [job_tags.c.tag == search.tags[0]]
    else:
        seq, condition = jobs.c.seq, [jobs.c.state == state for state in search.states]
    query = select(seq).where(*condition, seq < (block + 1) * job_counts.BLOCK)
    return query.order_by(seq.desc()).limit(size).offset(skip)


def matching(tx: Connection, search: Search, visible: ColumnElement[bool] | None) -> Select[Any]:
    """The first jobs that are searched for, whatever the search is. Words are looked for in the texts of
    jobs, which never change; one that names a state is looked for there, too."""
    found = [
        select(query.order_by(literal_column("seq").desc()).limit(MOST_FOUND).subquery().c.seq)
        for query in _alternatives(tx, search, visible)
    ]
    either = union(*found).subquery()
    return select(either.c.seq).order_by(either.c.seq.desc()).limit(MOST_FOUND)


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
    """It begins at what is likely to be in the fewest jobs."""
    tagged = exists().where(job_tags.c.tag.in_(tags))
    on_jobs = ([jobs.c.state.in_(states)] if states else []) + ([] if visible is None else [visible])
    if words:
        query = select(job_texts.c.rowid.label("seq")).where(has_words(tx, words))
        query = query.where(tagged.where(job_tags.c.seq == job_texts.c.rowid)) if tags else query
        return query.join(jobs, jobs.c.seq == job_texts.c.rowid).where(*on_jobs) if on_jobs else query
    if tags and not _fewer(tx, states, tags):
        query = select(job_tags.c.seq).where(job_tags.c.tag.in_(tags)).distinct()
        return query.join(jobs, jobs.c.seq == job_tags.c.seq).where(*on_jobs) if on_jobs else query
    query = select(jobs.c.seq).where(*on_jobs)
    return query.where(tagged.where(job_tags.c.seq == jobs.c.seq)) if tags else query


def _fewer(tx: Connection, states: Sequence[JobState], tags: Sequence[str]) -> bool:
    """Whether fewer jobs are in the states than have the tags."""
    if not states:
        return False
    in_states = job_counts.total(tx, *map(job_counts.of_state, states))
    return in_states < job_counts.total(tx, *map(job_counts.of_tag, tags))


def has_words(tx: Connection, words: Sequence[str]) -> ColumnElement[bool]:
    """All the words, the last one also as the beginning of a word. They hold no character of a syntax."""
    if tx.dialect.name == "sqlite":
        quoted = " ".join(f'"{word}"' for word in words)
        return literal_column("job_texts").op("MATCH")(quoted + "*")
    quoted = " & ".join(f"'{word}'" for word in words)
    parsed = select(func.to_tsquery(literal_column("'simple'"), quoted + ":*")).scalar_subquery()  # once
    return job_texts.c.text.op("@@")(parsed)


def _listed(row: Row[Any]) -> ListedJob:
    summary = dict(row.summary)
    number = summary.pop("taskCount")
    definition = decode(JobDefinition, summary | {"tasks": [], "secrets": row.secrets})
    return ListedJob(**standing(row), definition=definition, listed_tasks=number)
