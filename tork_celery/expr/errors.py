"""Exceptions: ExpressionError for callers, and the internal LanguageError from which it is made."""

from tork_celery.expr import limits


class LanguageError(Exception):
    """A violation of a rule of the language: a reason and, once known, an offset, but no source text.

    Internal: the parser and the program turn it into an ExpressionError. The reason names types of values,
    never values, because a value may be a secret.
    """

    def __init__(self, reason: str, offset: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.offset = offset

    def locate(self, offset: int) -> None:
        """Set the offset unless an inner node has set it."""
        if self.offset is None:
            self.offset = offset


class ExpressionError(ValueError):
    """An expression that is invalid, or whose evaluation failed.

    `offset` is a position in `source`, counted in characters from 0; `line` and `column` count from 1.
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
        is_long = len(self.source) > limits.QUOTED_CHARS
        start = max(0, self.offset - limits.QUOTED_CHARS // 2) if is_long else 0
        stop = start + limits.QUOTED_CHARS
        excerpt = self.source[start:stop].strip()
        printable = "".join(char if char.isprintable() else " " for char in excerpt)
        return ("..." if start else "") + printable + ("..." if stop < len(self.source) else "")

    def __reduce__(self) -> tuple[type["ExpressionError"], tuple[str, str, int]]:
        """Pickle the constructor's arguments; the default would pass only the message."""
        return (ExpressionError, (self.reason, self.source, self.offset))
