"""Results of the tasks of a job, by their `var`."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select

from tork_celery.store.tables import job_results as table


@dataclass(frozen=True, slots=True)
class StoredResults:
    """Reads the results of a job when they are needed: all of them may be large."""

    tx: Connection
    job_id: str

    def get(self, var: str, /) -> str | None:
        query = select(table.c.value).where(table.c.job_id == self.job_id, table.c.var == var)
        return self.tx.scalar(query)

    def items(self) -> Iterator[tuple[str, str]]:
        """Yield all results, in the order of their names."""
        query = select(table.c.var, table.c.value).where(table.c.job_id == self.job_id).order_by(table.c.var)
        for row in self.tx.execute(query, execution_options={"yield_per": 100}):
            yield row.var, row.value


def get(tx: Connection, job_id: str) -> dict[str, str]:
    """Return all results of a job."""
    return dict(StoredResults(tx, job_id).items())


def save(tx: Connection, job_id: str, results: Mapping[str, str]) -> None:
    """Store results; each replaces an earlier one of the same name."""
    if results:
        tx.execute(delete(table).where(table.c.job_id == job_id, table.c.var.in_(results)))
        rows = [{"job_id": job_id, "var": var, "value": value} for var, value in results.items()]
        tx.execute(insert(table), rows)
