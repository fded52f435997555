"""How a datastore goes about a query."""

from typing import Any

from sqlalchemy import Connection, Select, text


def plan_of(tx: Connection, query: Select[Any]) -> str:
    """What EXPLAIN says, a line a step."""
    sqlite = tx.dialect.name == "sqlite"
    written = query.compile(dialect=tx.dialect, compile_kwargs={"literal_binds": True})
    explain = "EXPLAIN QUERY PLAN" if sqlite else "EXPLAIN"
    if not sqlite:  # it reads small tables as a whole, and sorts what it has read
        for way in ("seqscan", "sort"):
            tx.execute(text(f"SET LOCAL enable_{way} = off"))
    rows = tx.execute(text(f"{explain} {str(written).replace(':', chr(92) + ':')}")).all()
    return "\n".join(str(row[-1]) for row in rows)
