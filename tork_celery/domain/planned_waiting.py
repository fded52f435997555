"""The waiting tasks of a job in the course of a plan."""

from collections.abc import Mapping, Sequence

from tork_celery.domain.plan import ListedTask, TaskReader, UnmetNeeds, WaitingTask
from tork_celery.domain.task_graph import TaskGraph


class PlannedWaiting:
    """Counts the unmet needs of tasks that have no rows yet.

    A task is stored when one of its needs has ended and another one has not, or when it is ready and another
    plan has to start it. Its number of unmet needs is that of its needs before that.
    """

    def __init__(self, job_id: str, task_reader: TaskReader) -> None:
        self._job_id = job_id
        self._task_reader = task_reader
        self._stored: dict[ListedTask, UnmetNeeds] = {}
        self._changed: dict[ListedTask, UnmetNeeds] = {}
        self._started: list[ListedTask] = []

    @property
    def changed(self) -> tuple[WaitingTask, ...]:
        return tuple(
            WaitingTask(place=place, needs=needs, is_new=place not in self._stored)
            for place, needs in self._changed.items()
        )

    @property
    def started(self) -> tuple[ListedTask, ...]:
        """The places of stored tasks that the plan has started."""
        return tuple(self._started)

    def need_ended(
        self, parent_id: str | None, graph: TaskGraph, index: int, *, failed: str | None
    ) -> Mapping[int, UnmetNeeds]:
        """Count a need that has ended. Return the tasks of its list that wait for no other one, by index.

        `failed` is the name of the task whose failure keeps those that need this one from running.
        """
        dependents = graph.dependents(index)
        self._read(parent_id, [dependent for dependent in dependents if len(graph.needs(dependent)) > 1])
        ready = {}
        for dependent in dependents:
            place = ListedTask(parent_id, dependent)
            before = self._changed.get(place) or self._stored.get(place)
            before = before or UnmetNeeds(len(graph.needs(dependent)))
            after = self._changed[place] = UnmetNeeds(before.number - 1, before.failed or failed)
            if not after.number:
                ready[dependent] = after
        return ready

    def ready(self, parent_id: str | None, *, limit: int) -> Mapping[int, UnmetNeeds]:
        """Return the first stored tasks of a list that are ready, by index."""
        ready = self._task_reader.ready(self._job_id, parent_id, limit)
        self._stored |= {ListedTask(parent_id, index): needs for index, needs in ready.items()}
        return ready

    def set(self, place: ListedTask, needs: UnmetNeeds) -> None:
        """Store a task with these unmet needs; without any another plan starts it."""
        if self._stored.get(place) != needs:
            self._changed[place] = needs

    def start(self, place: ListedTask) -> None:
        """Take a ready task, which the plan starts."""
        self._changed.pop(place, None)
        if place in self._stored:
            self._started.append(place)

    def _read(self, parent_id: str | None, indexes: Sequence[int]) -> None:
        if unknown := [index for index in indexes if ListedTask(parent_id, index) not in self._stored]:
            unmet = self._task_reader.unmet_needs(self._job_id, parent_id, unknown)
            self._stored |= {ListedTask(parent_id, index): needs for index, needs in unmet.items()}
