"""Measure pages of the job list: `python -m bench.paging [--jobs 100000] [--postgresql]`.

Prints the median and the maximum of 20 queries for each page, without HTTP: the total time, and the time
until the datastore answers. (SQLite reads more while rows are fetched.) The datastore is SQLite, or a
PostgreSQL server that is started for the benchmark. The floor is the time of a statement that reads nothing.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager

from sqlalchemy import event, insert, text

from scripts import servers
from tork_celery.domain import search
from tork_celery.store import Database, job_counts, job_pages
from tork_celery.store.migration import migrate
from tork_celery.store.tables import jobs

RUNS = 20
BATCH = 10_000
PAGE_SIZE = 20
WORDS = ("convert", "resize", "upload", "nightly", "report", "backup", "train", "index")
STATES = ("COMPLETED",) * 7 + ("FAILED",) * 2 + ("CANCELLED",)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--postgresql", action="store_true")
    options = parser.parse_args()
    with (
        datastore_url(postgresql=options.postgresql) as url,
        closing(Database.connect(url)) as database,
    ):
        migrate(database)
        start = time.monotonic()
        store_jobs(database, options.jobs)
        duration_s = time.monotonic() - start
        print(f"{options.jobs:,} jobs on {database.engine.name}, stored in {duration_s:.0f} s")
        timer = StatementTimer(database)
        for query, page in pages_to_measure(options.jobs):
            measure_page(database, timer, query, page)
        print(f"floor, one statement: {measure_floor(database, timer):.2f} ms")


def pages_to_measure(job_count: int) -> Iterator[tuple[str, int]]:
    """Yield queries with page numbers."""
    for query, share in (("", 1.0), ("status:completed", 0.7), ("status:failed", 0.2), ("tag:common", 0.5)):
        last = int(job_count * share) // PAGE_SIZE
        yield from ((query, number) for number in (1, last // 2, last))
    yield from (("tag:rare", 1), (f"tag:job{job_count // 2}", 1), ("tag:common status:running", 1))
    yield from (("convert", 1), ("convert nightly", 1), ("failed", 1), ("conv", 3))
    yield from ((f"{job_count // 3}", 1), ("tag:common status:failed", 1))
    yield from (("convert tag:rare", 1), ("convert status:failed", 500))


class StatementTimer:
    """Adds up the time until the datastore answers statements."""

    def __init__(self, database: Database) -> None:
        self.total_ms = 0.0
        self._start = 0.0
        event.listen(database.engine, "before_cursor_execute", self._before)
        event.listen(database.engine, "after_cursor_execute", self._after)

    def _before(self, *_: object) -> None:
        self._start = time.perf_counter()

    def _after(self, *_: object) -> None:
        self.total_ms += 1000 * (time.perf_counter() - self._start)


def measure_page(database: Database, timer: StatementTimer, query: str, page: int) -> None:
    """Run a query repeatedly and print a line of results."""
    total_ms, datastore_ms = [], []
    for _ in range(RUNS):
        with database.reading() as tx:
            database.now(tx)
            timer.total_ms = 0.0
            start = time.perf_counter()
            items, count = job_pages.page(tx, search.parse(query), number=page, size=PAGE_SIZE)
            total_ms.append(1000 * (time.perf_counter() - start))
            datastore_ms.append(timer.total_ms)
    label = f"{query or 'all'!s:28} page {page:6}: {len(items):2} of {count:9,}"
    datastore = f"{statistics.median(datastore_ms):6.2f} ms in the datastore, worst {max(datastore_ms):6.2f}"
    print(f"{label}  {datastore}; {statistics.median(total_ms):6.2f} ms in all, worst {max(total_ms):6.2f}")


def measure_floor(database: Database, timer: StatementTimer) -> float:
    """Return the median time of a statement that reads nothing, in milliseconds."""
    datastore_ms = []
    for _ in range(RUNS):
        with database.reading() as tx:
            database.now(tx)
            timer.total_ms = 0.0
            tx.execute(text("SELECT 1")).one()
            datastore_ms.append(timer.total_ms)
    return statistics.median(datastore_ms)


def store_jobs(database: Database, count: int, *, states: Sequence[str] = STATES) -> None:
    """Store jobs without tasks, whose states repeat in this order."""
    for start in range(0, count, BATCH):
        numbers = range(start, min(start + BATCH, count))
        with database.transaction() as tx:
            rows = [job_row(number, state=states[number % len(states)]) for number in numbers]
            tx.execute(insert(jobs), rows)
            job_counts.fold(tx, limit=10 * BATCH)
    analyze(database)


def analyze(database: Database) -> None:
    """Collect the statistics of PostgreSQL, which its autovacuum collects later."""
    if database.engine.name == "postgresql":
        with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM ANALYZE"))


def job_row(number: int, *, state: str) -> dict[str, object]:
    name = f"{WORDS[number % 8]} {number}"
    tags = [f"job{number}", *(["common"] if number % 2 else []), *(["rare"] if number % 1000 == 0 else [])]
    description = " ".join(WORDS[(number * step) % 8] for step in range(1, 9))
    return {
        "id": f"{number:032x}",
        "name": name,
        "state": state,
        "summary": {"name": name, "description": description, "tags": tags, "taskCount": 3},
        "results": {},
        "done_tasks": 3,
        "created_at": float(number),
        "progress": 100.0,
    }


@contextmanager
def datastore_url(*, postgresql: bool) -> Iterator[str]:
    """Provide an empty datastore for a block, and yield its URL."""
    if postgresql:
        with servers.postgresql() as url:
            yield url
    else:
        with tempfile.TemporaryDirectory() as directory:
            yield f"sqlite:///{directory}/tork.db"


if __name__ == "__main__":
    main()
