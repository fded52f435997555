"""Results of the tasks of a job, by their `var`."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import JSON, Connection, delete, insert, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.sql.selectable import ScalarSelect

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


class _object_of(FunctionElement[Any]):  # noqa: N801  named like a SQL function
    """Aggregate of keys and values: a JSON object, or null without any."""

    type = JSON()
    inherit_cache = True


@compiles(_object_of, "sqlite")
def _sqlite_object(element: Any, compiler: Any, **options: Any) -> str:
    return f"json_group_object({compiler.process(element.clauses, **options)})"


@compiles(_object_of, "postgresql")
def _postgresql_object(element: Any, compiler: Any, **options: Any) -> str:
    return f"json_object_agg({compiler.process(element.clauses, **options)})"


def results_by_var(job_id: ColumnElement[str]) -> ScalarSelect[Any]:
    """Return a scalar subquery of all results of a job as a JSON object; null or empty without any."""
    return select(_object_of(table.c.var, table.c.value)).where(table.c.job_id == job_id).scalar_subquery()


def remove(tx: Connection, job_id: str, variables: Collection[str]) -> None:
    if variables:
        tx.execute(delete(table).where(table.c.job_id == job_id, table.c.var.in_(variables)))


def save(tx: Connection, job_id: str, results: Mapping[str, str]) -> None:
    """Store results; each replaces an earlier one of the same name."""
    if results:
        tx.execute(delete(table).where(table.c.job_id == job_id, table.c.var.in_(results)))
        rows = [{"job_id": job_id, "var": var, "value": value} for var, value in results.items()]
        tx.execute(insert(table), rows)
