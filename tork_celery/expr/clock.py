"""Where time and chance come from when a caller brings none. Nothing else in the package reads them."""

import secrets
from datetime import UTC, datetime


def now() -> datetime:
    return datetime.now(UTC)


def dice(below: int) -> int:
    """An integer from zero up to, but without, `below`."""
    return secrets.randbelow(below)
