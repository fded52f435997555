"""The names that a job file gives to things."""

import re

LONGEST_NAME = 256
"""Characters of the name of a job or a task; the datastore has no room for more."""
LONGEST_VAR = 64
"""Characters of the name that a result is kept by."""
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


def check_var(name: str) -> None:
    """Raises ValueError for what no result is kept by."""
    if not 1 <= len(name) <= LONGEST_VAR:
        raise ValueError(f"must have from 1 to {LONGEST_VAR} characters")


def check_identifier(name: str) -> None:
    """Raises ValueError for what no expression could use as a name."""
    if not _IDENTIFIER.fullmatch(name):
        raise ValueError("must be a name of letters, digits and `_` that does not start with a digit")
