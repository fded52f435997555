"""The state of one evaluation: names, loop variables, functions of the host, and remaining steps."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from tork_celery.expr import limits
from tork_celery.expr.errors import LanguageError

TOO_MANY_STEPS = "the expression takes too many steps"


@dataclass(frozen=True, slots=True, kw_only=True)
class HostFunctions:
    """Functions that the application supplies, because their results differ from call to call.

    `now` returns the current time with a time zone. `randbelow(n)` returns a random integer from 0 to n - 1,
    as `secrets.randbelow` does.
    """

    now: Callable[[], datetime]
    randbelow: Callable[[int], int]


class Budget:
    """Steps that several evaluations share. The limit of a single evaluation still applies to each."""

    __slots__ = ("left",)

    def __init__(self, steps: int) -> None:
        self.left = steps

    def spend(self, steps: int) -> None:
        """Count steps outside of an evaluation. Raises LanguageError when they exceed the budget."""
        if steps > self.left:
            raise LanguageError(TOO_MANY_STEPS)
        self.left -= steps


class Frame:
    """Passed to each compiled node during one evaluation.

    A slot holds the value of a loop variable or of a `let` variable.
    """

    __slots__ = ("_budget", "_steps", "host", "names", "slots")

    def __init__(
        self,
        names: Mapping[str, object],
        slot_count: int,
        host: HostFunctions,
        budget: Budget | None = None,
    ) -> None:
        self.names = names
        self.slots: list[object] = [None] * slot_count
        self.host = host
        self._budget = budget
        self._steps = limits.STEPS if budget is None else min(limits.STEPS, budget.left)
        if budget is not None:
            budget.left -= self._steps

    def close(self) -> None:
        """Return the unused steps to the budget."""
        if self._budget is not None:
            self._budget.left += max(0, self._steps)

    def spend(self, steps: int) -> None:
        """Count steps before they are taken. Raises LanguageError when they exceed the limit."""
        self._steps -= steps
        if self._steps < 0:
            raise LanguageError(TOO_MANY_STEPS)

    def reserve_text(self, chars: int) -> None:
        """Count a text before it is created. Raises LanguageError when it is too long."""
        if chars > limits.TEXT_CHARS:
            raise LanguageError(f"the text would be longer than {limits.TEXT_CHARS} characters")
        self.spend(chars >> 4)


Evaluator = Callable[[Frame], object]
"""A compiled node: returns its value in a frame, or raises LanguageError."""


def standalone_frame(budget: Budget | None = None) -> Frame:
    """Return a frame without names and host functions, for work outside of an expression."""
    return Frame({}, 0, _NO_HOST, budget)


def _no_clock() -> datetime:
    raise LanguageError("no clock is available here")


def _no_random_numbers(_: int) -> int:
    raise LanguageError("no random numbers are available here")


_NO_HOST = HostFunctions(now=_no_clock, randbelow=_no_random_numbers)


def steps_to_read(values: Iterable[object]) -> int:
    """Return the number of steps that a function needs to look at all of its arguments."""
    steps = 1
    for value in values:
        if isinstance(value, str):
            steps += len(value) >> 4
        elif isinstance(value, list | tuple | dict):
            steps += len(value)
    return steps


def check_size(frame: Frame, value: object, level: int = 0) -> None:
    """Raise LanguageError when a value is too large or too deep to be written out, or cyclic.

    A list that contains another list twice counts its items twice: such a value is small in memory, but its
    text may be arbitrarily long.
    """
    if isinstance(value, dict):
        _check_sizes(frame, value.values(), level)
    elif isinstance(value, list | tuple):
        _check_sizes(frame, value, level)


def _check_sizes(frame: Frame, items: Collection[object], level: int) -> None:
    if level > limits.VALUE_DEPTH:
        raise LanguageError("the value is nested too deeply")
    frame.spend(len(items) + 1)
    for item in items:
        if isinstance(item, dict | list | tuple):
            check_size(frame, item, level + 1)
