"""Helpers that explain queries."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, Select, event, text


def explain(tx: Connection, query: Select[Any]) -> str:
    """Return the output of EXPLAIN for a query, one line per step."""
    sql = query.compile(dialect=tx.dialect, compile_kwargs={"literal_binds": True})
    _prefer_indexes(tx)
    rows = tx.execute(text(f"{_explain_keyword(tx)} {str(sql).replace(':', chr(92) + ':')}")).all()
    return "\n".join(str(row[-1]) for row in rows)


def explain_statements(tx: Connection, action: Callable[[Connection], object]) -> str:
    """Return all statements that `action` executes, each followed by the output of EXPLAIN."""
    executed: list[tuple[str, Any]] = []

    def record(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        executed.append((statement, parameters))

    event.listen(tx, "before_cursor_execute", record)
    action(tx)
    event.remove(tx, "before_cursor_execute", record)
    _prefer_indexes(tx)
    plans = []
    for statement, parameters in executed:
        rows = tx.exec_driver_sql(f"{_explain_keyword(tx)} {statement}", parameters).all()
        plans.append("\n".join([statement, *(str(row[-1]) for row in rows)]))
    return "\n\n".join(plans)


def _explain_keyword(tx: Connection) -> str:
    return "EXPLAIN QUERY PLAN" if tx.dialect.name == "sqlite" else "EXPLAIN"


def _prefer_indexes(tx: Connection) -> None:
    """Make PostgreSQL use indexes on small tables, too."""
    if tx.dialect.name == "postgresql":
        for option in ("seqscan", "sort"):
            tx.execute(text(f"SET LOCAL enable_{option} = off"))
