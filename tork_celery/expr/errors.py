"""What an expression can raise: one public error, and the fault it is made from."""

from tork_celery.expr import limits


class Fault(Exception):
    """A reason without its expression: `at` is the offset of the faulty part, once known.

    The reason names kinds of values, never the values: they may be secrets.
    """

    def __init__(self, reason: str, at: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.at = at

    def locate(self, at: int) -> None:
        """The innermost part that failed is the one to name."""
        if self.at is None:
            self.at = at


class ExpressionError(ValueError):
    """An expression that cannot be read, or that fails: which one, where, and why.

    `line` and `column` count from 1.
    """

    def __init__(self, reason: str, source: str, offset: int | None = None) -> None:
        self.reason = reason
        self.source = source
        self.offset = max(0, min(offset or 0, len(source)))
        self.line = source.count("\n", 0, self.offset) + 1
        self.column = self.offset - (source.rfind("\n", 0, self.offset) + 1) + 1
        place = f"line {self.line}, column {self.column}"
        super().__init__(f"{reason} ({place} of the expression `{self._quote()}`)")

    def _quote(self) -> str:
        long = len(self.source) > limits.QUOTED_CHARS
        start = max(0, self.offset - limits.QUOTED_CHARS // 2) if long else 0
        stop = start + limits.QUOTED_CHARS
        cut = self.source[start:stop].strip()
        printable = "".join(char if char.isprintable() else " " for char in cut)
        return ("..." if start else "") + printable + ("..." if stop < len(self.source) else "")

    def __reduce__(self) -> tuple[type["ExpressionError"], tuple[str, str, int]]:
        """An error crosses process borders whole."""
        return (ExpressionError, (self.reason, self.source, self.offset))
