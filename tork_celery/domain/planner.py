"""The course of a job: from one task that ended, or whose turn has come, to all that follows from it.

A composite is RUNNING while its children are at work; each child that is done makes room for the next one.
What runs no container (a composite, a task that is skipped) is done within one plan, so that a plan may
go through many tasks; it goes through at most `CHILDREN_AT_ONCE` children, to keep transactions short.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Protocol

from tork_celery import expr
from tork_celery.domain import durations, evaluation
from tork_celery.domain.definition import JobDefinition, TaskDefinition
from tork_celery.domain.errors import EvaluationFailed
from tork_celery.domain.model import Job, Task
from tork_celery.domain.plan import Plan
from tork_celery.domain.redaction import secrets_of_job
from tork_celery.domain.states import JobState, TaskState

CHILDREN_AT_ONCE = 200
STEPS_AT_ONCE = 4_000_000
"""What the expressions of one plan may take in all, a few seconds: a transaction is open meanwhile."""
MOST_ADDED = 2_000
"""A plan that adds more rows gives no more children their turn, which may bring as many again."""

NewId = Callable[[], str]


class TaskReader(Protocol):
    """The stored tasks of a job."""

    def task(self, task_id: str) -> Task:
        """The task of that id, which is there."""

    def created_children(self, parent_id: str, limit: int) -> Sequence[Task]:
        """Children whose turn has not come (CREATED), in order."""


class NoStoredTasks:
    """The relatives of what a job begins with: all of them are in its first plan."""

    def task(self, task_id: str) -> Task:
        raise LookupError(task_id)

    def created_children(self, parent_id: str, limit: int) -> Sequence[Task]:
        raise LookupError(parent_id, limit)


def start_job(job: Job, *, now: float, new_id: NewId) -> Plan:
    """The job goes on from its position, with nothing of it active."""
    planner = Planner(job, NoStoredTasks(), now=now, new_id=new_id)
    planner.start_next_task()
    return planner.plan()


class Planner:
    """Collects what follows. Each public method but `plan` is a way to begin."""

    def __init__(self, job: Job, task_reader: TaskReader, *, now: float, new_id: NewId) -> None:
        self._job = job
        self._task_reader = task_reader
        self._now = now
        self._new_id = new_id
        self._changed: dict[str, Task] = {}
        self._added: dict[str, Task] = {}
        self._fresh: dict[str, deque[Task]] = {}
        self._taken: dict[str, int] = {}
        self._redefined: set[str] = set()
        self._send: list[str] = []
        self._subjobs: list[Plan] = []
        self._partly_started: list[str] = []
        self._todo: deque[Callable[[], None]] = deque()
        self._places = CHILDREN_AT_ONCE
        self._budget = expr.Budget(STEPS_AT_ONCE)

    def start_next_task(self) -> None:
        """The job goes on with its next top-level task, or is complete."""
        if self._job.position == self._job.task_count:
            self._complete()
            return
        definition = self._job.definition.tasks[self._job.position]
        self._job = replace(self._job, position=self._job.position + 1)
        if self._job.state is JobState.PENDING:
            self._job = self._job.with_state(JobState.SCHEDULED)
        self._dispatch(self._add(definition))

    def complete(self, task: Task, state: TaskState = TaskState.COMPLETED) -> None:
        """End a task that is done (COMPLETED or SKIPPED), and start what follows it."""
        self._put(self._ended(task, state))
        if task.definition.var and task.result is not None:
            self._job = replace(self._job, results={**self._job.results, task.definition.var: task.result})
        if task.parent_id is None:
            self._job = replace(self._job, progress=_progress(self._job))
            self._todo.append(self.start_next_task)
            return
        parent = self._task(task.parent_id)
        parent = replace(parent, completions=parent.completions + 1)
        self._put(parent)
        if parent.completions == parent.size:
            self.complete(parent)
        else:
            self._todo.append(partial(self.start_children, parent.id))

    def fail(self, task: Task) -> None:
        """The task has failed for good: so has what it is part of, and the job."""
        failed = self._ended(task, TaskState.FAILED)
        self._put(failed)
        while failed.parent_id is not None:
            parent = replace(self._task(failed.parent_id), error=task.error)
            failed = self._ended(parent, TaskState.FAILED)
            self._put(failed)
        self._job = self._ended_job(JobState.FAILED, error=task.error)

    def retry(self, failed: Task, attempt: Task) -> None:
        """A failed task is tried again."""
        self._put(self._ended(failed, TaskState.FAILED))
        self._added[attempt.id] = attempt
        self._send.append(attempt.id)

    def start_children(self, parent_id: str) -> None:
        """Give the next child of a composite its turn, if there is room for one."""
        parent = self._task(parent_id)
        busy = parent.started_children - parent.completions
        full = parent.concurrency and busy >= parent.concurrency
        if parent.state is not TaskState.RUNNING or parent.started_children == parent.size or full:
            return
        if not self._places or len(self._added) > MOST_ADDED or self._budget.left < STEPS_AT_ONCE / 2:
            self._partly_started.append(parent_id)
            return
        self._places -= 1
        self._put(replace(parent, started_children=parent.started_children + 1))
        self._todo.append(partial(self.start_children, parent_id))
        child = self._next_child(parent)
        self._redefined.add(child.id)
        self._dispatch(replace(child, definition=parent.definition.child(child.index)))

    def cancel(self) -> None:
        """A user ends the job."""
        self._job = self._ended_job(JobState.CANCELLED)

    def plan(self) -> Plan:
        """All that follows."""
        while self._todo and not self._job.state.ended:
            self._todo.popleft()()
        stop = _STOPPED_BY.get(self._job.state)
        changed, added = (
            tuple(self._stopped(task, stop) for task in tasks.values())
            for tasks in (self._changed, self._added)
        )
        by_id = {task.id: task for task in (*changed, *added)}
        return Plan(
            job=self._job,
            changed=changed,
            added=added,
            redefined=frozenset(self._redefined & self._changed.keys()),
            send=tuple(by_id[task_id] for task_id in self._send if by_id[task_id].state.active),
            stop=stop,
            subjobs=tuple(sub for sub in self._subjobs if not (stop and sub.job.parent_id)),
            partly_started=() if self._job.state.ended else tuple(dict.fromkeys(self._partly_started)),
        )

    # ------------------------------------------------------------ a task whose turn has come

    def _dispatch(self, task: Task) -> None:
        names = evaluation.context(self._job, task.scope)
        try:
            if not evaluation.wanted(task.definition, names, self._budget):
                self.complete(task, TaskState.SKIPPED)
                return
            defaults = self._job.definition.defaults
            definition = evaluation.dispatched(task.definition, defaults, names, self._budget)
            self._start(replace(task, definition=definition), names)
        except EvaluationFailed as error:
            self.fail(replace(task, error=str(error)))

    def _start(self, task: Task, names: evaluation.Context) -> None:
        definition = task.definition
        if definition.parallel:
            self._expand(task, [task.scope] * len(definition.parallel.tasks))
        elif definition.each:
            each = definition.each
            self._expand(
                replace(task, concurrency=each.concurrency),
                [
                    {**task.scope, each.var: {"index": str(index), "value": value}}
                    for index, value in enumerate(evaluation.items(each, names, self._budget))
                ],
            )
        elif definition.subjob:
            self._start_subjob(task, evaluation.subjob(definition.subjob, names, self._budget))
        else:
            scheduled = task.with_state(TaskState.SCHEDULED)
            self._put(replace(scheduled, scheduled_at=self._now, sent_at=self._now))
            self._send.append(task.id)

    def _expand(self, task: Task, scopes: Sequence[evaluation.Context]) -> None:
        """Add a child for each scope. Until its turn it has only the name of its definition, which its parent
        has: there may be a hundred thousand of them."""
        parent = self._running(replace(task, size=len(scopes)))
        if not scopes:
            self.complete(parent)
            return
        self._put(parent)
        child = task.definition.child
        added = [
            self._add(TaskDefinition(name=child(index).name), parent_id=task.id, index=index, scope=scope)
            for index, scope in enumerate(scopes)
        ]
        self._fresh[task.id] = deque(added)
        self._todo.append(partial(self.start_children, task.id))

    def _start_subjob(self, task: Task, definition: JobDefinition) -> None:
        detached = task.definition.subjob is not None and task.definition.subjob.detached
        started = start_job(
            Job(
                id=self._new_id(),
                definition=replace(
                    definition,
                    permissions=self._job.definition.permissions,
                    hidden=tuple(sorted(secrets_of_job(self._job.definition))),
                ),
                state=JobState.PENDING,
                created_at=self._now,
                parent_id=None if detached else task.id,
                created_by=self._job.created_by,
            ),
            now=self._now,
            new_id=self._new_id,
        )
        self._subjobs.append(started)
        running = self._running(replace(task, subjob_id=started.job.id))
        if detached:
            self.complete(running)
        else:
            self._put(running)

    # ------------------------------------------------------------ rows

    def _add(
        self,
        definition: TaskDefinition,
        *,
        parent_id: str | None = None,
        index: int = 0,
        scope: evaluation.Context | None = None,
    ) -> Task:
        task = Task(
            id=self._new_id(),
            job_id=self._job.id,
            job_name=self._job.definition.name,
            position=self._job.position,
            parent_id=parent_id,
            index=index,
            scope=scope or {},
            definition=definition,
            state=TaskState.CREATED,
            created_at=self._now,
        )
        self._added[task.id] = task
        return task

    def _put(self, task: Task) -> None:
        where = self._added if task.id in self._added else self._changed
        where[task.id] = task

    def _task(self, task_id: str) -> Task:
        return self._added.get(task_id) or self._changed.get(task_id) or self._task_reader.task(task_id)

    def _next_child(self, parent: Task) -> Task:
        """The first child whose turn has not come: of those that this plan adds, or of those stored."""
        fresh = self._fresh.setdefault(parent.id, deque())
        if not fresh:
            taken = self._taken.get(parent.id, 0)  # stored as CREATED still, but not any more in this plan
            busy = parent.started_children - parent.completions
            room = min(
                self._places + 1, parent.concurrency - busy if parent.concurrency else CHILDREN_AT_ONCE
            )
            fresh.extend(self._task_reader.created_children(parent.id, taken + room)[taken:])
            self._taken[parent.id] = taken + len(fresh)
        return fresh.popleft()

    def _running(self, task: Task) -> Task:
        if self._job.state is JobState.SCHEDULED:
            self._job = replace(self._job.with_state(JobState.RUNNING), started_at=self._now)
        return replace(task.with_state(TaskState.RUNNING), scheduled_at=self._now, started_at=self._now)

    def _ended(self, task: Task, state: TaskState) -> Task:
        return replace(task.with_state(state), ended_at=task.ended_at or self._now)

    def _stopped(self, task: Task, state: TaskState | None) -> Task:
        return self._ended(task, state) if state and task.state.active else task

    # ------------------------------------------------------------ the end of the job

    def _complete(self) -> None:
        try:
            result = evaluation.output(self._job)
        except EvaluationFailed as error:
            self._job = self._ended_job(JobState.FAILED, error=str(error))
            return
        self._job = replace(self._ended_job(JobState.COMPLETED), result=result, progress=100.0)

    def _ended_job(self, state: JobState, *, error: str | None = None) -> Job:
        delete = self._job.definition.auto_delete
        delete_at = None if delete is None else self._now + durations.seconds(delete.after)
        started = self._job.started_at or (self._now if state is JobState.COMPLETED else None)
        return replace(
            self._job.with_state(state),
            error=error,
            ended_at=self._now,
            started_at=started,
            delete_at=delete_at,
        )


_STOPPED_BY = {JobState.FAILED: TaskState.STOPPED, JobState.CANCELLED: TaskState.CANCELLED}
"""What becomes of the tasks that are still active when their job ends."""


def _progress(job: Job) -> float:
    return round(100.0 * job.position / job.task_count, 2)
