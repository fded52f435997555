"""The operators that stand between two operands, by how they are written."""

from collections.abc import Callable

from tork_celery.expr import operators
from tork_celery.expr.access import whole
from tork_celery.expr.equality import contained, equal
from tork_celery.expr.errors import Fault
from tork_celery.expr.functions.numbers import integers
from tork_celery.expr.kinds import kind_of
from tork_celery.expr.operators import Operator
from tork_celery.expr.patterns import matches
from tork_celery.expr.run import Run


def _range(run: Run, first: object, last: object) -> object:
    """Both ends included."""
    return integers(run, whole(first), whole(last) + 1)


def _on_text(name: str, compute: Callable[[Run, str, str], bool]) -> Operator:
    """Never holds for nil, on either side."""

    def apply(run: Run, text: object, part: object) -> bool:
        if isinstance(text, str) and isinstance(part, str):
            run.spend(len(text) >> 8)
            return compute(run, text, part)
        if text is None or part is None:
            return False
        raise Fault(f"{name} does not take {kind_of(text)} and {kind_of(part)}")

    return apply


OPERATORS: dict[str, Operator] = {
    **operators.OPERATORS,
    "==": equal,
    "!=": lambda run, left, right: not equal(run, left, right),
    "in": contained,
    "..": _range,
    "matches": _on_text("matches", matches),
    "contains": _on_text("contains", lambda _, text, part: part in text),
    "startsWith": _on_text("startsWith", lambda _, text, part: text.startswith(part)),
    "endsWith": _on_text("endsWith", lambda _, text, part: text.endswith(part)),
}
