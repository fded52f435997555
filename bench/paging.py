"""How fast lists of jobs are: `python -m bench.paging [--jobs 100000] [--postgresql]`.

The time for a page without HTTP, and how much of it the datastore takes to answer (SQLite then still reads on
while rows are fetched): the median and the worst of 20, on SQLite or on a PostgreSQL server that is started
for it. The floor is a statement that reads nothing.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

from sqlalchemy import event, insert, text

from scripts import servers
from tork_celery.domain import search
from tork_celery.store import Database, job_counts, job_pages
from tork_celery.store.migration import migrate
from tork_celery.store.tables import jobs

RUNS = 20
BATCH = 10_000
WORDS = ("convert", "resize", "upload", "nightly", "report", "backup", "train", "index")
STATES = ("COMPLETED",) * 7 + ("FAILED",) * 2 + ("CANCELLED",)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--postgresql", action="store_true")
    options = parser.parse_args()
    with url(postgresql=options.postgresql) as found, closing(Database.connect(found)) as database:
        migrate(database)
        begun = time.monotonic()
        fill(database, options.jobs)
        print(f"{options.jobs:,} jobs on {database.engine.name}, stored in {time.monotonic() - begun:.0f} s")
        answers = Answers(database)
        for query, page in pages_to_measure(options.jobs):
            measure(database, answers, query, page)
        print(f"floor, one statement: {floor(database, answers):.2f} ms")


def pages_to_measure(total: int) -> Iterator[tuple[str, int]]:
    for query, share in (("", 1.0), ("status:completed", 0.7), ("status:failed", 0.2), ("tag:common", 0.5)):
        last = int(total * share) // 20
        yield from ((query, number) for number in (1, last // 2, last))
    yield from (("tag:rare", 1), (f"tag:job{total // 2}", 1), ("tag:common status:running", 1))
    yield from (("convert", 1), ("convert nightly", 1), ("failed", 1), ("conv", 3), (f"{total // 3}", 1))
    yield from (("tag:common status:failed", 1), ("convert tag:rare", 1), ("convert status:failed", 500))


class Answers:
    """Adds up how long the datastore takes to answer statements."""

    def __init__(self, database: Database) -> None:
        self.taken_ms = 0.0
        self._asked = 0.0
        event.listen(database.engine, "before_cursor_execute", self._ask)
        event.listen(database.engine, "after_cursor_execute", self._hear)

    def _ask(self, *_: object) -> None:
        self._asked = time.perf_counter()

    def _hear(self, *_: object) -> None:
        self.taken_ms += 1000 * (time.perf_counter() - self._asked)


def measure(database: Database, answers: Answers, query: str, page: int) -> None:
    whole, answered = [], []
    for _ in range(RUNS):
        with database.reading() as tx:
            database.now(tx)
            answers.taken_ms = 0.0
            begun = time.perf_counter()
            items, total = job_pages.page(tx, search.parse(query), number=page, size=20)
            whole.append(1000 * (time.perf_counter() - begun))
            answered.append(answers.taken_ms)
    shown = f"{query or 'all'!s:28} page {page:6}: {len(items):2} of {total:9,}"
    datastore = f"{statistics.median(answered):6.2f} ms in the datastore, worst {max(answered):6.2f}"
    print(f"{shown}  {datastore}; {statistics.median(whole):6.2f} ms in all, worst {max(whole):6.2f}")


def floor(database: Database, answers: Answers) -> float:
    answered = []
    for _ in range(RUNS):
        with database.reading() as tx:
            database.now(tx)
            answers.taken_ms = 0.0
            tx.execute(text("SELECT 1")).one()
            answered.append(answers.taken_ms)
    return statistics.median(answered)


def fill(database: Database, number: int) -> None:
    for start in range(0, number, BATCH):
        with database.transaction() as tx:
            tx.execute(insert(jobs), [row(place) for place in range(start, min(start + BATCH, number))])
            job_counts.fold(tx, limit=10 * BATCH)
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if database.engine.name == "postgresql":
            connection.execute(text("VACUUM ANALYZE"))


def row(place: int) -> dict[str, object]:
    name = f"{WORDS[place % 8]} {place}"
    tags = [f"job{place}", *(["common"] if place % 2 else []), *(["rare"] if place % 1000 == 0 else [])]
    description = " ".join(WORDS[(place * step) % 8] for step in range(1, 9))
    return {
        "id": f"{place:032x}",
        "name": name,
        "state": STATES[place % 10],
        "summary": {"name": name, "description": description, "tags": tags, "taskCount": 3},
        "results": {},
        "position": 3,
        "created_at": float(place),
        "progress": 100.0,
    }


@contextmanager
def url(*, postgresql: bool) -> Iterator[str]:
    if postgresql:
        with servers.postgresql() as found:
            yield found
    else:
        with tempfile.TemporaryDirectory() as folder:
            yield f"sqlite:///{folder}/tork.db"


if __name__ == "__main__":
    main()
