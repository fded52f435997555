"""What expressions add to a job and its subjobs: tasks, text and queues. Their limits bound a small file that
would become millions of rows."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tork_celery.domain.codec import encode
from tork_celery.domain.errors import EvaluationFailed
from tork_celery.domain.queue_names import DEFAULT_QUEUE

MAX_TASKS = 200_000
"""Tasks that the composites of a job and its subjobs start. Tasks in the file and retries do not count."""
MAX_CHARS = 256 * 2**20
"""Characters of the definitions and items of these tasks, and of all evaluated texts."""
MAX_TASK_CHARS = 16 * 2**20
"""Characters that the expressions of one task yield: its texts, or the list of an `each`."""
MAX_QUEUES = 100
"""Different queues of a job and its subjobs."""
MIN_STORED_CHARS = 1_000
"""A plan that adds fewer characters, and nothing else, does not count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispatched:
    """What an outermost job and its subjobs have dispatched."""

    tasks: int = 0
    chars: int = 0
    queues: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        """Return whether it is worth storing."""
        return bool(self.tasks or self.queues or self.chars >= MIN_STORED_CHARS)


NOTHING = Dispatched()


class DispatchMeter:
    """Counts what a plan adds to a job. All methods but the constructor raise EvaluationFailed."""

    def __init__(self, read: Callable[[], Dispatched]) -> None:
        """`read` returns what was dispatched before the plan."""
        self._read = read
        self._before: Dispatched | None = None
        self._tasks = 0
        self._chars = 0
        self._queues = set[str]()

    @property
    def added(self) -> Dispatched:
        return Dispatched(tasks=self._tasks, chars=self._chars, queues=frozenset(self._queues))

    def add(self, *, tasks: int = 0, chars: int = 0) -> None:
        before = self._dispatched_before()
        if before.tasks + self._tasks + tasks > MAX_TASKS:
            raise EvaluationFailed(
                f"the job would start more than {MAX_TASKS:,} tasks, with those of its subjobs; split it "
                "into several jobs"
            )
        if before.chars + self._chars + chars > MAX_CHARS:
            raise EvaluationFailed(
                f"the tasks of the job and its subjobs would take more than {MAX_CHARS:,} characters; pass "
                "large values in files or volumes"
            )
        self._tasks += tasks
        self._chars += chars

    def add_queue(self, name: str) -> None:
        if name == DEFAULT_QUEUE or name in self._queues:
            return
        before = self._dispatched_before().queues
        if name in before:
            return
        if len(before) + len(self._queues) >= MAX_QUEUES:
            raise EvaluationFailed(
                f"queue: the job already uses {MAX_QUEUES} queues, with those of its subjobs, and this would "
                "be another one"
            )
        self._queues.add(name)

    def _dispatched_before(self) -> Dispatched:
        if self._before is None:
            self._before = self._read()
        return self._before


class DefinitionSizes:
    """Sizes of definitions as they are stored. Those of a plan are computed once: many children share one."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[object, int]] = {}  # keeps the objects, so that no id is used twice

    def chars(self, definition: object) -> int:
        known = self._known.get(id(definition))
        if known is None:
            known = self._known[id(definition)] = (definition, _json_chars(encode(definition)))
        return known[1]


def scope_chars(scope: Mapping[str, Any]) -> int:
    """Return the size of the names that a child sees, as they are stored."""
    return _json_chars(scope) if scope else 0


def _json_chars(document: Any) -> int:
    return len(json.dumps(document, ensure_ascii=False))
