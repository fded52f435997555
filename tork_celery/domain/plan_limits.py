"""Limits of one plan. They keep its transaction short; what exceeds them is left to another plan."""

from tork_celery import expr
from tork_celery.domain.dispatched import DispatchMeter

MAX_STEPS = 750_000
"""Evaluation steps of all expressions of one plan; that many take less than a second."""
MAX_ACTIVE_CHILDREN = 10_000
"""Children of a composite that are active at a time. The end of one starts another."""
MAX_STARTED_CHILDREN = 100
"""Children that one plan starts at most."""
MAX_ADDED_TASKS = 500
"""A plan that has added more tasks starts no further children: each may add as many."""
MAX_BATCH = 250
"""Children that a plan adds to one composite at a time."""
MAX_ADDED_CHARS = 8 * 2**20
"""A plan that has added more text starts no further children."""


class PlanLimits:
    """Counts what one plan does. The plans of the subjobs that it starts share the limits.

    `weight` is the number of rows that each change of a task adds: one, and one for each webhook call.
    """

    def __init__(self, meter: DispatchMeter) -> None:
        self.meter = meter
        self.steps = expr.Budget(MAX_STEPS)
        self._children = 0
        self._tasks = 0
        self._chars = 0

    @property
    def reached(self) -> bool:
        """Whether the plan starts no further children. The first child may always start."""
        return (
            self._children >= MAX_STARTED_CHILDREN
            or self._tasks > MAX_ADDED_TASKS
            or self._chars > MAX_ADDED_CHARS
            or self.steps.left < MAX_STEPS / 2
        )

    def count_started_child(self, *, chars: int, weight: int) -> None:
        self._children += weight
        self._chars += chars

    def count_added_tasks(self, tasks: int, *, chars: int, weight: int) -> None:
        self._tasks += tasks * weight
        self._chars += chars

    def children_left(self, *, weight: int) -> int:
        return max(1, (MAX_STARTED_CHILDREN - self._children) // weight)


def batch_size(*, chars: int, weight: int) -> int:
    """Return how many children of `chars` characters each a plan adds to a composite at a time."""
    return max(1, min(MAX_BATCH // weight, MAX_ADDED_CHARS // max(1, chars)))
