"""Measure the services with many stored jobs: `make bench-scale`, or `make bench-scale ARGS="--postgresql"`.

Stores two datastores directly, one with 10,000 jobs and one with 1,000,000, of which a tenth wait in a
queue. Prints the median time of each service in both, and their ratio: what costs the same is near 1. The
broker is a fake that holds a message for each waiting task.
"""

import argparse
import logging
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import Connection, Table, literal_column, select, text, update
from sqlalchemy.sql.elements import ColumnElement

from bench.measuring import machine, write_json
from bench.paging import PAGE_SIZE, analyze, datastore_url, store_jobs
from tests.domain.samples import job_definition
from tests.services.fakes import FakeDispatcher
from tork_celery.domain import search
from tork_celery.services import housekeeping, queries, queues
from tork_celery.services.context import ServiceContext
from tork_celery.services.recovery_sweep import RecoverySweep
from tork_celery.services.submit import submit
from tork_celery.store import Database
from tork_celery.store.migration import migrate
from tork_celery.store.tables import job_definitions, jobs, tasks

FEW = 10_000
STATES = ("COMPLETED",) * 7 + ("FAILED",) * 2 + ("RUNNING",)
QUEUE = "default"
RUNS = 5
REMOVED_PER_RUN = 1_000  # by one run of the housekeeping


@dataclass
class Figures:
    """Medians in milliseconds by the name of what was measured."""

    medians_ms: dict[str, float] = field(default_factory=dict)

    def measure(self, name: str, action: Callable[[], object]) -> None:
        action()  # which fills caches
        durations_ms = []
        for _ in range(RUNS):
            start = time.perf_counter()
            action()
            durations_ms.append(1000 * (time.perf_counter() - start))
        self.medians_ms[name] = statistics.median(durations_ms)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--jobs", type=int, default=1_000_000)
    parser.add_argument("--postgresql", action="store_true")
    parser.add_argument("--json", type=Path, default=Path("build/bench-scale.json"))
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    few, many = (figures_of(count, postgresql=options.postgresql) for count in (FEW, options.jobs))
    print(f"{'':42}{FEW:>12,}{options.jobs:>12,}   ratio")
    for name, median_ms in few.items():
        print(f"{name:42}{median_ms:9.2f} ms{many[name]:9.2f} ms  {many[name] / median_ms:6.1f}")
    write_json(options.json, {"machine": machine(), f"{FEW}": few, f"{options.jobs}": many})


def figures_of(count: int, *, postgresql: bool) -> dict[str, float]:
    """Return the medians with `count` jobs."""
    with datastore_url(postgresql=postgresql) as url, closing(Database.connect(url)) as database:
        migrate(database)
        start = time.monotonic()
        fill(database, count)
        duration_s = time.monotonic() - start
        print(f"{count:,} jobs on {database.engine.name}, stored in {duration_s:.0f} s")
        return measure_all(database, count)


def measure_all(database: Database, count: int) -> dict[str, float]:
    dispatcher = FakeDispatcher()
    dispatcher.depths[QUEUE] = count
    context = ServiceContext(database=database, dispatcher=dispatcher, lease_s=10.0)
    sweep = RecoverySweep(context)
    figures = Figures()
    figures.measure("floor: a statement that reads nothing", lambda: read_nothing(database))
    for name, query, number in pages(count):
        figures.measure(f"page: {name}", page_reader(context, query, number))
    figures.measure("submit a job", lambda: submit(context, job_definition()))
    figures.measure("GET /queues", lambda: queues.list_queues(context))
    figures.measure("GET /metrics", lambda: queries.metrics(context))
    figures.measure("sweep", sweep.sweep)
    figures.measure("retention, nothing is due", lambda: housekeeping.run(context))
    mark_due(database, REMOVED_PER_RUN * (RUNS + 1))
    figures.measure("retention, 1,000 jobs", lambda: housekeeping.run(context))
    return figures.medians_ms


def pages(count: int) -> Iterator[tuple[str, str, int]]:
    """Yield names, queries and page numbers."""
    yield "all jobs, first", "", 1
    yield "all jobs, in the middle", "", count // PAGE_SIZE // 2
    yield "a state", "status:failed", 1
    yield "running jobs", "status:running", 1
    yield "a rare tag", "tag:rare", 1
    yield "a tag of one job", f"tag:job{count // 2}", 1
    yield "a tag and a state", "tag:common status:failed", 1
    yield "two words", "convert nightly", 1
    yield "a word of one job", f"{count // 3}", 1
    yield "a word and a rare tag", "convert tag:rare", 1


def page_reader(context: ServiceContext, query: str, number: int) -> Callable[[], object]:
    return lambda: queries.job_page(context, search.parse(query), number=number, size=PAGE_SIZE)


def read_nothing(database: Database) -> None:
    with database.reading() as tx:
        tx.execute(text("SELECT 1")).one()


def fill(database: Database, count: int) -> None:
    """Store jobs with one task each. The tasks of running jobs wait in a queue."""
    template, _ = submit(template_context(database), job_definition())
    store_jobs(database, count - 1, states=STATES)
    with database.transaction() as tx:
        copy_of_template(tx, job_definitions, template.id, {})
        state = "CASE jobs.state WHEN 'RUNNING' THEN 'SCHEDULED' ELSE jobs.state END"
        copy_of_template(tx, tasks, template.id, {"id": "jobs.id", "state": state, "sent_at": "1.0"})
    analyze(database)


def template_context(database: Database) -> ServiceContext:
    return ServiceContext(database=database, dispatcher=FakeDispatcher(), lease_s=10.0)


def copy_of_template(tx: Connection, table: Table, template_id: str, values: dict[str, str]) -> None:
    """Copy the row of the template job in a table for each other job, with SQL expressions as `values`."""
    values = {"job_id": "jobs.id"} | values
    source = table.alias("template")
    selected: list[ColumnElement[Any]] = [
        literal_column(values[each.name]) if each.name in values else source.c[each.key]
        for each in table.columns
    ]
    rows = select(*selected).select_from(jobs.join(source, source.c.job_id == template_id))
    tx.execute(table.insert().from_select(list(table.columns), rows.where(jobs.c.id != template_id)))


def mark_due(database: Database, number: int) -> None:
    ended = select(jobs.c.id).where(jobs.c.state == "COMPLETED").limit(number)
    with database.transaction() as tx:
        tx.execute(update(jobs).where(jobs.c.id.in_(ended)).values(delete_at=1.0))


if __name__ == "__main__":
    main()
