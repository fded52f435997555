"""One evaluation: where its names and loop variables are, and how much it may still do."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

from tork_celery.expr import limits
from tork_celery.expr.errors import Fault

Clock = Callable[[], datetime]
# Promises an integer from zero up to, but without, its argument.
Dice = Callable[[int], int]


class Budget:
    """The steps that several expressions may take in all; none takes more than it may by itself."""

    __slots__ = ("left",)

    def __init__(self, steps: int) -> None:
        self.left = steps


class Run:
    """Passed to every part of an expression while it is evaluated; used once."""

    __slots__ = ("_budget", "_steps", "cells", "dice", "names", "now")

    def __init__(
        self,
        names: Mapping[str, object],
        cells: int,
        now: Clock,
        dice: Dice,
        budget: Budget | None = None,
    ) -> None:
        self.names = names
        self.cells: list[object] = [None] * cells
        self.now = now
        self.dice = dice
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
    return Run({}, 0, _no_clock, _no_dice)


def _no_clock() -> datetime:
    raise Fault("there is no clock here")


def _no_dice(_: int) -> int:
    raise Fault("there is no random number here")


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
