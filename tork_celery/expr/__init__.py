"""The expression language of job files: expr (expr-lang.org), in a sandbox.

An expression reads the names of its context, and nothing else: no attribute of a Python object is reached,
and the steps, the depth, and the size of what it makes are bounded (`limits`). All functions here raise
ExpressionError, which says where and why, and nothing else.
"""

from collections.abc import Mapping

from tork_celery.expr import limits, template
from tork_celery.expr.durations import Duration
from tork_celery.expr.errors import ExpressionError
from tork_celery.expr.program import program
from tork_celery.expr.run import Budget, HostFunctions
from tork_celery.expr.text import to_text

__all__ = [
    "Budget",
    "Duration",
    "ExpressionError",
    "HostFunctions",
    "check",
    "check_template",
    "check_whole",
    "evaluate",
    "evaluate_whole",
    "is_template",
    "render",
    "to_text",
]


def check(source: str) -> None:
    """Raises ExpressionError for what is no expression, or could not be evaluated in any context."""
    program(source)


def evaluate(
    source: str,
    context: Mapping[str, object],
    host: HostFunctions,
    *,
    budget: Budget | None = None,
) -> object:
    """The value of an expression in a context, of the kinds of JSON, or a datetime, Duration or tzinfo.

    `host` is the source of time and random numbers; a `budget` is shared with other expressions.
    """
    return program(source).evaluate(context, host, budget)


def check_whole(text: str) -> None:
    """`check` for a field that is one expression, with `{{ }}` around it or without."""
    check(template.whole(text))


def evaluate_whole(
    text: str,
    context: Mapping[str, object],
    host: HostFunctions,
    *,
    budget: Budget | None = None,
) -> object:
    """`evaluate` for a field that is one expression, with `{{ }}` around it or without: `if`, `each.list`."""
    return evaluate(template.whole(text), context, host, budget=budget)


def is_template(text: str) -> bool:
    """Whether there is an expression in the text."""
    return template.OPENING in text


def check_template(text: str) -> None:
    """Raises ExpressionError for a hole that is not closed, or holds no expression."""
    for part in template.parts(text):
        if isinstance(part, template.Hole):
            check(part.source)


def render(
    text: str,
    context: Mapping[str, object],
    host: HostFunctions,
    *,
    budget: Budget | None = None,
) -> str:
    """The text with each `{{ expression }}` replaced by its value, as `to_text` writes it."""
    result = template.filled(text, lambda source: to_text(evaluate(source, context, host, budget=budget)))
    if len(result) > limits.TEMPLATE_CHARS:
        raise ExpressionError(f"the text would be longer than {limits.TEMPLATE_CHARS} characters", text)
    return result
