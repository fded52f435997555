"""How large a value is once it is written out, which is what whoever takes it will do with it."""

from collections.abc import Collection

from tork_celery.expr import limits
from tork_celery.expr.errors import Fault
from tork_celery.expr.run import Run


def measured(run: Run, value: object) -> object:
    """The value; raises Fault for one that is too large or too deep, or without an end.

    A list that holds another one twice counts it twice: it is short in memory, and may be endless on paper.
    """
    _measure(run, value, 0)
    return value


def _measure(run: Run, value: object, level: int) -> None:
    if isinstance(value, dict):
        _measure_all(run, value.values(), level)
    elif isinstance(value, list | tuple):
        _measure_all(run, value, level)


def _measure_all(run: Run, items: Collection[object], level: int) -> None:
    if level > limits.VALUE_DEPTH:
        raise Fault("the value is nested too deeply")
    run.spend(len(items) + 1)
    for item in items:
        if isinstance(item, dict | list | tuple):
            _measure(run, item, level + 1)
