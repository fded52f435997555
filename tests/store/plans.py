"""How a datastore goes about a query."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, Select, event, text


def plan_of(tx: Connection, query: Select[Any]) -> str:
    """What EXPLAIN says, a line a step."""
    written = query.compile(dialect=tx.dialect, compile_kwargs={"literal_binds": True})
    _prefer_indexes(tx)
    rows = tx.execute(text(f"{_explain(tx)} {str(written).replace(':', chr(92) + ':')}")).all()
    return "\n".join(str(row[-1]) for row in rows)


def plans_of(tx: Connection, action: Callable[[Connection], object]) -> str:
    """The same for each statement of what is done with the transaction, the statements too."""
    done: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        done.append((statement, parameters))

    event.listen(tx, "before_cursor_execute", note)
    action(tx)
    event.remove(tx, "before_cursor_execute", note)
    _prefer_indexes(tx)
    plans = []
    for statement, parameters in done:
        rows = tx.exec_driver_sql(f"{_explain(tx)} {statement}", parameters).all()
        plans.append("\n".join([statement, *(str(row[-1]) for row in rows)]))
    return "\n\n".join(plans)


def _explain(tx: Connection) -> str:
    return "EXPLAIN QUERY PLAN" if tx.dialect.name == "sqlite" else "EXPLAIN"


def _prefer_indexes(tx: Connection) -> None:
    if tx.dialect.name == "postgresql":  # it reads small tables as a whole, and sorts what it has read
        for way in ("seqscan", "sort"):
            tx.execute(text(f"SET LOCAL enable_{way} = off"))
