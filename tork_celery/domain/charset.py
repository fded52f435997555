"""Which texts can be kept."""

import re

# No datastore and no environment of a process holds NUL; lone surrogates cannot be encoded at all.
_UNFIT = re.compile("[\x00\ud800-\udfff]")
_UNFIT_IN_A_LINE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def unfit_character(text: str, *, one_line: bool = False) -> str | None:
    """The first character that keeps the text from being kept, as `U+0000`. A text of one line has no control
    characters."""
    found = (_UNFIT_IN_A_LINE if one_line else _UNFIT).search(text)
    return None if found is None else f"U+{ord(found[0]):04X}"
