"""Checks of the names and texts that users write."""

import re

LONGEST_NAME = 256
"""Characters of the name of a job or task, as the datastore limits it."""
LONGEST_IMAGE = 1024
"""Characters of the name of an image."""
LONGEST_VAR = 64
"""Characters of a `var`."""
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)

# Neither a datastore nor the environment of a process can hold NUL; lone surrogates have no UTF-8 form.
_UNFIT = re.compile("[\x00\ud800-\udfff]")
_UNFIT_IN_LINE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def check_var(name: str) -> None:
    """Raise ValueError unless a result can be kept under this name."""
    if not 1 <= len(name) <= LONGEST_VAR:
        raise ValueError(f"must have from 1 to {LONGEST_VAR} characters")


def check_identifier(name: str) -> None:
    """Raise ValueError unless expressions can use this name."""
    if not _IDENTIFIER.fullmatch(name):
        raise ValueError("must be a name of letters, digits and `_` that does not start with a digit")


def unfit_character(text: str, *, one_line: bool = False) -> str | None:
    """Return the first character that cannot be stored, such as `U+0000`, or None.

    With `one_line`, control characters and line separators are unfit too.
    """
    match = (_UNFIT_IN_LINE if one_line else _UNFIT).search(text)
    return f"U+{ord(match[0]):04X}" if match else None
