"""The binary operators by their symbols."""

from collections.abc import Callable

from tork_celery.expr.errors import LanguageError
from tork_celery.expr.evaluation import Frame
from tork_celery.expr.operators.arithmetic import ARITHMETIC, BinaryOperator, integer_range
from tork_celery.expr.operators.equality import contains, equal
from tork_celery.expr.operators.indexing import to_index
from tork_celery.expr.operators.regex import matches
from tork_celery.expr.values.types import type_name


def _inclusive_range(frame: Frame, first: object, last: object) -> object:
    return integer_range(frame, to_index(first), to_index(last) + 1)


def _on_strings(op: str, test: Callable[[Frame, str, str], bool]) -> BinaryOperator:
    """Return an operator that is false if either operand is nil."""

    def apply(frame: Frame, text: object, part: object) -> bool:
        if isinstance(text, str) and isinstance(part, str):
            frame.spend(len(text) >> 8)
            return test(frame, text, part)
        if text is None or part is None:
            return False
        raise LanguageError(f"{op} does not take {type_name(text)} and {type_name(part)}")

    return apply


BINARY_OPERATORS: dict[str, BinaryOperator] = {
    **ARITHMETIC,
    "==": equal,
    "!=": lambda frame, left, right: not equal(frame, left, right),
    "in": contains,
    "..": _inclusive_range,
    "matches": _on_strings("matches", matches),
    "contains": _on_strings("contains", lambda _, text, part: part in text),
    "startsWith": _on_strings("startsWith", lambda _, text, part: text.startswith(part)),
    "endsWith": _on_strings("endsWith", lambda _, text, part: text.endswith(part)),
}
"""All operators that evaluate both operands; `and`, `or` and `??` belong to the compiler."""
