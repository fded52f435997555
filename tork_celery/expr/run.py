"""One evaluation: where its names and loop variables are, and how much it may still do."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from tork_celery.expr import limits
from tork_celery.expr.errors import Fault


@dataclass(frozen=True, slots=True, kw_only=True)
class HostFunctions:
    """The functions that the application supplies, because their results differ from call to call.

    `now` returns the current time with a timezone. `randbelow(n)` returns a random integer from 0 to n - 1,
    as `secrets.randbelow` does.
    """

    now: Callable[[], datetime]
    randbelow: Callable[[int], int]


class Budget:
    """The steps that several expressions may take in all; none takes more than it may by itself."""

    __slots__ = ("left",)

    def __init__(self, steps: int) -> None:
        self.left = steps


class Run:
    """Passed to every part of an expression while it is evaluated; used once."""

    __slots__ = ("_budget", "_steps", "cells", "host", "names")

    def __init__(
        self,
        names: Mapping[str, object],
        cells: int,
        host: HostFunctions,
        budget: Budget | None = None,
    ) -> None:
        self.names = names
        self.cells: list[object] = [None] * cells
        self.host = host
        self._budget = budget
        self._steps = limits.STEPS if budget is None else min(limits.STEPS, budget.left)
        if budget is not None:
            budget.left -= self._steps  # what is not spent is given back

    def end(self) -> None:
        """The evaluation is over."""
        if self._budget is not None:
            self._budget.left += max(0, self._steps)

    def spend(self, steps: int) -> None:
        """Count work about to be done; raises Fault when it is too much for one expression."""
        self._steps -= steps
        if self._steps < 0:
            raise Fault("the expression takes too many steps")

    def make_text(self, chars: int) -> None:
        """Called before a text of that length is made."""
        if chars > limits.TEXT_CHARS:
            raise Fault(f"the text would be longer than {limits.TEXT_CHARS} characters")
        self.spend(chars >> 4)


def detached() -> Run:
    """A run for work outside of an expression: the same limits, and no names, clock or random numbers."""
    return Run({}, 0, _NO_HOST)


def _no_clock() -> datetime:
    raise Fault("there is no clock here")


def _no_random_number(_: int) -> int:
    raise Fault("there is no random number here")


_NO_HOST = HostFunctions(now=_no_clock, randbelow=_no_random_number)


Evaluate = Callable[[Run], object]


def weight_of(values: Iterable[object]) -> int:
    """The steps that looking at all of the values takes."""
    weight = 1
    for value in values:
        if isinstance(value, str):
            weight += len(value) >> 4
        elif isinstance(value, list | tuple | dict):
            weight += len(value)
    return weight
