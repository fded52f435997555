"""Decide what follows in a job when a task ends or is started.

A task begins when all that it needs is done (`domain.task_graph`). In a list without needs, the tasks of a
job run one after the other, and the children of a `parallel` at once. A composite is RUNNING while its
children run; each child of an `each` that completes makes room for the next one. Tasks without a container
(composites, skipped tasks) complete within the plan that starts them, so one plan may pass through many
tasks, up to the limits of `domain.plan_limits`.
"""

from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from functools import partial

from tork_celery.domain import durations, evaluation
from tork_celery.domain.allowed_failures import is_allowed
from tork_celery.domain.definition import Defaults, Each, Subjob
from tork_celery.domain.dispatched import NOTHING, DefinitionSizes, DispatchMeter, scope_chars
from tork_celery.domain.errors import EvaluationFailed
from tork_celery.domain.evaluation import Evaluator
from tork_celery.domain.model import Job, Task
from tork_celery.domain.new_rows import NewRows
from tork_celery.domain.plan import NO_STORED_TASKS, ListedTask, Plan, RandomSource, TaskReader, UnmetNeeds
from tork_celery.domain.plan_evaluators import PlanEvaluators
from tork_celery.domain.plan_limits import MAX_ACTIVE_CHILDREN, PlanLimits, batch_size
from tork_celery.domain.planned_tasks import PlannedTasks
from tork_celery.domain.planned_waiting import PlannedWaiting
from tork_celery.domain.run_again import RunAgain
from tork_celery.domain.states import ENDED_EARLY, JobState, TaskState
from tork_celery.domain.task_graph import TaskGraph, has_needs
from tork_celery.domain.webhooks import task_webhooks


def start_job(
    job: Job,
    *,
    now: float,
    random: RandomSource,
    limits: PlanLimits | None = None,
) -> Plan:
    """Start a new job. A subjob has the `limits` of the plan that starts it."""
    limits = limits or PlanLimits(DispatchMeter(lambda: NOTHING))
    planner = Planner(job, NO_STORED_TASKS, now=now, random=random, limits=limits)
    planner.start_tasks(range(job.task_count))
    return planner.plan()


class Planner:
    """Collects the changes that follow from one event. Call one public method, then `plan`."""

    def __init__(
        self,
        job: Job,
        task_reader: TaskReader,
        *,
        now: float,
        random: RandomSource,
        limits: PlanLimits | None = None,
    ) -> None:
        self._job = job
        self._tasks = PlannedTasks(task_reader)
        self._waiting = PlannedWaiting(job.id, task_reader)
        self._graphs: dict[str | None, TaskGraph] = {}
        self._has_started = False
        self._stops_children = False
        self._limits = limits or PlanLimits(
            DispatchMeter(lambda: task_reader.dispatched(job.root_id or job.id))
        )
        self._weight = 1 + task_webhooks(job)
        self._sizes = DefinitionSizes()
        self._evaluators = PlanEvaluators(
            job, task_reader.results(job.id), self._limits.steps, now=now, random=random
        )
        self._removed_results: frozenset[str] = frozenset()
        self._results: dict[str, str] = {}
        self._now = now
        self._random = random
        self._new_rows = NewRows(now=now, random=random)
        self._pending: deque[Callable[[], None]] = deque()
        self._redefined: set[str] = set()
        self._scheduled: list[str] = []
        self._subjobs: list[Plan] = []
        self._partly_started: list[str] = []

    def restart(self, again: RunAgain) -> None:
        """Run some of the tasks of an ended job again."""
        self._removed_results = again.removed_results
        done = len(again.kept)
        self._job = replace(self._job, done_tasks=done, progress=self._share(done))
        self.start_tasks(again.indexes)

    def start_tasks(self, indexes: Collection[int]) -> None:
        """Schedule the job, to run these of its tasks. A need that is not one of them counts as done."""
        self._job = self._job.with_state(JobState.SCHEDULED)
        self._job = replace(self._job, ended_tasks=self._job.task_count - len(indexes))
        if not indexes:
            self._complete_job()
            return
        graph = self._graph(None)
        if len(indexes) == graph.size:
            self._start_ready(None, graph.roots())
            return
        unmet = {index: sum(need in indexes for need in graph.needs(index)) for index in sorted(indexes)}
        for index, number in unmet.items():
            if number and number != len(graph.needs(index)):
                self._waiting.set(ListedTask(None, index), UnmetNeeds(number))
        self._start_ready(None, [index for index, number in unmet.items() if not number])

    def start_waiting(self, parent_id: str | None) -> None:
        """Start tasks of a list that an earlier plan left, as far as the limits of a plan allow."""
        limit = self._limits.children_left(weight=self._weight)
        ready = self._waiting.ready(parent_id, limit=limit)
        self._start_ready(parent_id, ready, ready)
        if len(ready) == limit:
            self._partly_started.append(parent_id or self._job.id)

    def complete(self, task: Task) -> None:
        """Complete a task and start what follows it."""
        self._finish(task, TaskState.COMPLETED)

    def fail(self, task: Task) -> None:
        """Fail a task, with the composites that it is part of, and the job, unless its other tasks go on.

        A failure that is allowed, of the task or of one of the composites, counts as done.
        """
        failed = self._end_task(task, TaskState.FAILED)
        while failed.parent_id is not None and not is_allowed(failed):
            parent = replace(self._tasks.get(failed.parent_id), error=task.error)
            failed = self._end_task(parent, TaskState.FAILED)
        self._stops_children |= failed.id != task.id
        if is_allowed(failed):
            self._count_done(failed)
        elif self._job.definition.fail_fast is False and self._graph(None).has_needs:
            self._job = replace(self._job, error=self._job.error or task.error)
            self._count_not_done(ListedTask(None, failed.position - 1), failed.definition.name or "a task")
        else:
            self._end_job(JobState.FAILED, error=task.error)

    def is_stopped(self, task: Task) -> bool:
        """Return whether a composite that the task is part of has ended: it is stopped then."""
        while task.parent_id is not None:
            task = self._tasks.get(task.parent_id)
            if task.state is not TaskState.RUNNING:
                return True
        return False

    def retry(self, task: Task, next_attempt: Task) -> None:
        """Fail a task and add its next attempt."""
        self._end_task(task, TaskState.FAILED)
        self._tasks.add(next_attempt)

    def start_children(self, parent_id: str) -> None:
        """Start children of a composite, as far as its concurrency and the limits of a plan allow."""
        parent = self._tasks.get(parent_id)
        free = (parent.concurrency or MAX_ACTIVE_CHILDREN) - (parent.started_children - parent.completions)
        if parent.state is not TaskState.RUNNING or parent.started_children == parent.size or free <= 0:
            return
        if self._stops_children and self.is_stopped(parent):
            return
        if self._limits.reached:
            self._partly_started.append(parent_id)
            return
        if parent.started_children == parent.created_children:
            parent = self._add_children(parent)
        left = self._limits.children_left(weight=self._weight)
        child = self._tasks.next_child(parent_id, read_ahead=min(left, free))
        definition = parent.definition.child(child.index)
        if child.definition.priority is not None:  # a user has changed it while the child waited
            definition = replace(definition, priority=child.definition.priority)
        self._limits.count_started_child(chars=self._sizes.chars(definition), weight=self._weight)
        self._tasks.change(replace(parent, started_children=parent.started_children + 1))
        self._pending.append(partial(self.start_children, parent_id))
        self._redefined.add(child.id)
        self._start(replace(child, definition=definition))

    def time_out(self, timeout: str) -> None:
        """Fail the job, whose timeout has passed."""
        self._end_job(JobState.FAILED, error=f"timed out after {timeout}")

    def cancel(self) -> None:
        """Cancel the job."""
        self._end_job(JobState.CANCELLED)

    def plan(self) -> Plan:
        """Return all changes that follow."""
        while self._pending and not self._job.state.ended:
            self._pending.popleft()()
        stop = _EARLY_ENDS.get(self._job.state)
        if stop or self._stops_children:
            for task in (*self._tasks.changed, *self._tasks.added):
                if task.state.active and (stop or self.is_stopped(task)):
                    self._end_task(task, stop or TaskState.STOPPED)
        changed, added = self._tasks.changed, self._tasks.added
        by_id = {task.id: task for task in (*changed, *added)}
        return Plan(
            job=self._job,
            results=self._results,
            removed_results=self._removed_results,
            changed=tuple(changed),
            added=tuple(added),
            redefined=frozenset(self._redefined & {task.id for task in changed}),
            scheduled=tuple(by_id[id_] for id_ in self._scheduled if by_id[id_].state.active),
            stop=stop,
            stops_children=self._stops_children,
            subjobs=tuple(sub for sub in self._subjobs if self._is_awaited(sub.job)),
            partly_started=() if self._job.state.ended else tuple(dict.fromkeys(self._partly_started)),
            waiting=() if self._job.state.ended else self._waiting.changed,
            started=self._waiting.started,
            added_items=() if self._job.state.ended else tuple(self._tasks.added_items),
            taken_items=tuple(self._tasks.taken_items),
            dispatched=self._limits.meter.added,
        )

    def _is_awaited(self, subjob: Job) -> bool:
        """Return whether a subjob is to start: it is detached, or the plan does not stop the task of it."""
        return subjob.parent_id is None or self._tasks.get(subjob.parent_id).state not in ENDED_EARLY

    # ------------------------------------------------------------ lists of tasks

    def _graph(self, parent_id: str | None) -> TaskGraph:
        """Return the graph of the list of a `parallel`, or of that of the job."""
        if parent_id not in self._graphs:
            if parent_id is None:
                graph = TaskGraph(self._job.definition.tasks, ordered=True)
            else:
                graph = TaskGraph(self._tasks.get(parent_id).definition.children, ordered=False)
            self._graphs[parent_id] = graph
        return self._graphs[parent_id]

    def _start_ready(
        self,
        parent_id: str | None,
        indexes: Iterable[int],
        needs: Mapping[int, UnmetNeeds] | None = None,
    ) -> None:
        """Start tasks that wait for no other one. `needs` has, by index, those that have waited."""
        for index in indexes:
            failed = needs[index].failed if needs else None
            self._pending.append(partial(self._start_or_leave, ListedTask(parent_id, index), failed))

    def _start_or_leave(self, place: ListedTask, failed: str | None) -> None:
        """Start a task whose needs have ended, or leave it to another plan if this one is too large.

        If one of its needs has failed, end it instead. `failed` is the name of the task that has.
        """
        parent = None if place.parent_id is None else self._tasks.get(place.parent_id)
        if parent and parent.state is not TaskState.RUNNING:
            return
        if parent and self._stops_children and self.is_stopped(parent):
            return
        if self._limits.reached and self._has_started:
            self._waiting.set(place, UnmetNeeds(0, failed))
            self._partly_started.append(place.parent_id or self._job.id)
            return
        self._waiting.start(place)
        definitions = parent.definition.children if parent else self._job.definition.tasks
        definition = definitions[place.index]
        if self._has_started:
            self._limits.count_started_child(chars=self._sizes.chars(definition), weight=self._weight)
        self._has_started = True
        task = self._new_rows.task(
            self._job,
            definition,
            position=parent.position if parent else place.index + 1,
            parent=parent,
            index=place.index if parent else 0,
            scope=parent.scope if parent else None,
        )
        self._limits.count_added_tasks(1, chars=0, weight=self._weight)
        self._tasks.add(task)
        if failed is None:
            self._start(task)
        else:
            self._end_task(replace(task, error=f"not run: {failed} failed"), TaskState.SKIPPED)
            self._count_not_done(place, failed)

    def _count_not_done(self, place: ListedTask, failed: str) -> None:
        """Count a task of the job that has ended without being done, since the task `failed` has."""
        self._job = replace(self._job, ended_tasks=self._job.ended_tasks + 1)
        self._pending.append(partial(self._start_dependents, place, failed))

    def _start_dependents(self, place: ListedTask, failed: str | None = None) -> None:
        """Start the tasks that have waited for the end of this one only."""
        if place.parent_id is None and self._job.ended_tasks == self._job.task_count:
            self._end_run()
            return
        graph = self._graph(place.parent_id)
        ready = self._waiting.need_ended(place.parent_id, graph, place.index, failed=failed)
        self._start_ready(place.parent_id, ready, ready)

    def _end_run(self) -> None:
        """End the job after its last task: as failed if one of them has."""
        if self._job.error is None:
            self._complete_job()
        else:
            self._end_job(JobState.FAILED, error=self._job.error)

    # ------------------------------------------------------------ start a task

    def _start(self, task: Task) -> None:
        evaluator = self._evaluator(task.scope)
        try:
            if not evaluation.condition_holds(task.definition, evaluator):
                self._finish(task, TaskState.SKIPPED)
                return
            definition = evaluation.evaluated_task(task.definition, self._defaults, evaluator)
            self._start_evaluated(replace(task, definition=definition), evaluator)
        except EvaluationFailed as error:
            self.fail(replace(task, error=str(error)))

    @property
    def _defaults(self) -> Defaults | None:
        defaults = self._job.definition.defaults
        if self._job.priority is None:
            return defaults
        return replace(defaults or Defaults(), priority=self._job.priority)

    def _evaluator(self, scope: evaluation.Context) -> Evaluator:
        return self._evaluators.evaluator(scope, added=self._results, removed=self._removed_results)

    def _start_evaluated(self, task: Task, evaluator: Evaluator) -> None:
        definition = task.definition
        if definition.parallel:
            chars = self._sizes.chars(definition.parallel)
            self._start_composite(task, len(definition.parallel.tasks), chars=chars)
        elif definition.each:
            self._start_each(task, definition.each, evaluator)
        elif definition.subjob:
            self._start_subjob(task, definition.subjob, evaluator)
        else:
            self._limits.meter.add(chars=evaluator.chars)
            self._limits.meter.add_queue(task.queue)
            scheduled = task.with_state(TaskState.SCHEDULED)
            self._tasks.change(replace(scheduled, scheduled_at=self._now))
            self._scheduled.append(task.id)

    def _start_each(self, task: Task, each: Each, evaluator: Evaluator) -> None:
        items = evaluation.items(each, evaluator)
        chars_of_child = scope_chars(task.scope) + evaluator.chars // max(1, len(items))
        self._tasks.set_items(task.id, items, batch=batch_size(chars=chars_of_child, weight=self._weight))
        chars = evaluator.chars + len(items) * self._sizes.chars(each.task)
        self._start_composite(replace(task, concurrency=each.concurrency), len(items), chars=chars)

    def _start_composite(self, task: Task, size: int, *, chars: int) -> None:
        """Run a composite with `size` children, whose items and definitions have `chars` characters."""
        self._limits.meter.add(tasks=size, chars=chars + size * scope_chars(task.scope))
        parent = self._run_task(replace(task, size=size))
        if not size:
            self.complete(parent)
        elif has_needs(task.definition.children):
            self._tasks.change(replace(parent, created_children=size, started_children=size))
            self._start_ready(task.id, self._graph(task.id).roots())
        else:
            self._pending.append(partial(self.start_children, task.id))

    def _add_children(self, parent: Task) -> Task:
        """Add the next children of a composite, and return it. There may be 100,000 children."""
        if parent.definition.each:
            items = self._tasks.next_items(parent)
        else:
            batch = batch_size(chars=scope_chars(parent.scope), weight=self._weight)
            items = range(min(batch, parent.size - parent.created_children))
        children = list(self._new_rows.children(self._job, parent, items))
        chars = sum(scope_chars(child.scope) for child in children)
        self._limits.count_added_tasks(len(children), chars=chars, weight=self._weight)
        return self._tasks.add_children(parent, children)

    def _start_subjob(self, task: Task, block: Subjob, evaluator: Evaluator) -> None:
        definition = evaluation.subjob(block, evaluator)
        subjob = self._new_rows.subjob(self._job, task, definition, detached=block.detached)
        chars = self._sizes.chars(block) + sum(map(len, subjob.definition.hidden)) + evaluator.chars
        self._limits.meter.add(tasks=len(block.tasks), chars=chars)
        self._limits.count_added_tasks(1, chars=chars, weight=self._weight)
        self._subjobs.append(start_job(subjob, now=self._now, random=self._random, limits=self._limits))
        running = self._run_task(replace(task, subjob_id=subjob.id))
        if block.detached:
            self.complete(running)

    def _run_task(self, task: Task) -> Task:
        """Move a task that runs on no node to RUNNING."""
        if self._job.state is JobState.SCHEDULED:
            self._job = replace(self._job.with_state(JobState.RUNNING), started_at=self._now)
        running = replace(task.with_state(TaskState.RUNNING), scheduled_at=self._now, started_at=self._now)
        self._tasks.change(running)
        return running

    # ------------------------------------------------------------ end a task or the job

    def _finish(self, task: Task, state: TaskState) -> None:
        """End a task as COMPLETED or SKIPPED and start what follows it."""
        self._end_task(task, state)
        if task.definition.var and task.result is not None:
            self._results[task.definition.var] = task.result
        self._count_done(task)

    def _count_done(self, task: Task) -> None:
        """Count a task that is done in its list, and start what follows it."""
        if task.parent_id is None:
            done, ended = self._job.done_tasks + 1, self._job.ended_tasks + 1
            progress = self._share(done)
            self._job = replace(self._job, done_tasks=done, ended_tasks=ended, progress=progress)
            self._pending.append(partial(self._start_dependents, ListedTask(None, task.position - 1)))
            return
        parent = self._tasks.get(task.parent_id)
        parent = replace(parent, completions=parent.completions + 1)
        self._tasks.change(parent)
        if parent.completions == parent.size:
            self.complete(parent)
        elif has_needs(parent.definition.children):
            self._pending.append(partial(self._start_dependents, ListedTask(parent.id, task.index)))
        else:
            self._pending.append(partial(self.start_children, parent.id))

    def _end_task(self, task: Task, state: TaskState) -> Task:
        ended = replace(task.with_state(state), ended_at=task.ended_at or self._now)
        self._tasks.change(ended)
        return ended

    def _complete_job(self) -> None:
        evaluator = self._evaluator({})
        try:
            result = evaluation.output(self._job, evaluator)
            self._limits.meter.add(chars=evaluator.chars)
        except EvaluationFailed as error:
            self._end_job(JobState.FAILED, error=str(error))
            return
        self._end_job(JobState.COMPLETED)
        self._job = replace(self._job, result=result)

    def _share(self, done: int) -> float:
        """Return the progress of the job when this number of its tasks is done."""
        return round(100.0 * done / self._job.task_count, 2)

    def _end_job(self, state: JobState, *, error: str | None = None) -> None:
        auto_delete = self._job.definition.auto_delete
        self._job = replace(
            self._job.with_state(state),
            error=error,
            ended_at=self._now,
            started_at=self._job.started_at or (self._now if state is JobState.COMPLETED else None),
            delete_at=self._now + durations.seconds(auto_delete.after) if auto_delete else None,
        )


_EARLY_ENDS = {JobState.FAILED: TaskState.STOPPED, JobState.CANCELLED: TaskState.CANCELLED}
"""State in which the active tasks of a job end, by the state in which the job ends."""
