"""The rows that a plan adds: tasks, children of composites, and subjobs."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tork_celery.domain.definition import JobDefinition, TaskDefinition
from tork_celery.domain.errors import EvaluationFailed
from tork_celery.domain.masking import conceal, excess, job_values, located_values
from tork_celery.domain.model import Job, Task
from tork_celery.domain.plan import RandomSource
from tork_celery.domain.states import JobState, TaskState


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRows:
    """Builds rows that are created at the time `now`."""

    now: float
    random: RandomSource

    def task(
        self,
        job: Job,
        definition: TaskDefinition,
        *,
        position: int,
        parent: Task | None = None,
        index: int = 0,
        scope: Mapping[str, Any] | None = None,
    ) -> Task:
        """Return a task of the top-level task at this position, or that task itself."""
        return Task(
            id=self.random.new_id(),
            job_id=job.id,
            job_name=job.definition.name,
            position=position,
            parent_id=parent.id if parent else None,
            index=index,
            scope=scope or {},
            definition=definition,
            state=TaskState.CREATED,
            created_at=self.now,
            job_created_at=job.created_at,
        )

    def children(self, job: Job, parent: Task, items: Sequence[Any]) -> Iterator[Task]:
        """Yield the next children of a composite, one for each of the items, which a `parallel` ignores.

        A child has the name of its definition only: it gets the whole definition when it starts.
        """
        each = parent.definition.each
        for index, value in enumerate(items, parent.created_children):
            item = {each.var: {"index": str(index), "value": value}} if each else {}
            yield self.task(
                job,
                TaskDefinition(name=parent.definition.child(index).name),
                position=parent.position,
                parent=parent,
                index=index,
                scope={**parent.scope, **item},
            )

    def subjob(self, job: Job, task: Task, definition: JobDefinition, *, detached: bool) -> Job:
        """Return the job that a `subjob` task starts. The values of the task's job are masked in it too.

        Raises EvaluationFailed when it has too many values to mask.
        """
        parents_values = job_values(job.definition)
        if fault := excess(
            (*((("subjob",), value) for value in parents_values), *located_values(definition))
        ):
            raise EvaluationFailed(f"subjob: {fault[1]}")
        return Job(
            id=self.random.new_id(),
            definition=conceal(
                replace(definition, permissions=job.definition.permissions, hidden=tuple(parents_values))
            ),
            state=JobState.PENDING,
            created_at=self.now,
            parent_id=None if detached else task.id,
            root_id=job.root_id or job.id,
            created_by=job.created_by,
        )
