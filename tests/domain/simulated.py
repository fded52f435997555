"""A fake installation in memory that applies plans to jobs and tasks."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from tests.domain.samples import RANDOM, job_definition
from tork_celery.domain import transitions
from tork_celery.domain.definition import JobDefinition, TaskDefinition
from tork_celery.domain.dispatched import NOTHING, Dispatched
from tork_celery.domain.model import Job, Task
from tork_celery.domain.plan import ItemBatch, ListedTask, Plan, UnmetNeeds
from tork_celery.domain.run_again import RestartFrom
from tork_celery.domain.states import JobState, Outcome, TaskState, check_job_move, check_task_move

NODE = "n"


class Simulation:
    """One submitted job with its subjobs. Applies plans as the services do.

    Checks that every stored change is an allowed move, that decisions are idempotent and that the counters of
    composites are consistent.
    """

    def __init__(self, definition: JobDefinition, *, now: float = 0.0) -> None:
        self.jobs: dict[str, Job] = {}
        self.tasks: dict[str, Task] = {}
        self.job_results: dict[str, dict[str, str]] = {}
        self.items: dict[tuple[str, int], ItemBatch] = {}
        self.waiting: dict[str, dict[ListedTask, UnmetNeeds]] = {}
        self.superseded: set[str] = set()
        self.dispatched_by: dict[str, Dispatched] = {}
        self.now = now
        plan = transitions.submit(definition, now=now, random=RANDOM)
        self.job_id = plan.job.id
        self._store_new_job(plan)
        self.dispatched_by[self.job_id] = plan.dispatched
        self._follow_up(plan)

    @property
    def job(self) -> Job:
        return self.jobs[self.job_id]

    @property
    def stored_results(self) -> dict[str, str]:
        """The results of the job's tasks, by `var`."""
        return self.job_results[self.job_id]

    def named(self, name: str) -> list[Task]:
        return [task for task in self.tasks.values() if task.definition.name == name]

    def states(self) -> dict[str, list[str]]:
        """Return the states of all tasks, by name."""
        states: dict[str, list[str]] = {}
        for task in self.tasks.values():
            states.setdefault(task.definition.name or "", []).append(str(task.state))
        return states

    # ------------------------------------------------------------ TaskReader

    def task(self, task_id: str) -> Task:
        return self.tasks[task_id]

    def current_run(self, job_id: str) -> Sequence[Task]:
        return [
            task
            for task in self.tasks.values()
            if task.job_id == job_id and task.parent_id is None and task.id not in self.superseded
        ]

    def unmet_needs(
        self, job_id: str, parent_id: str | None, indexes: Sequence[int]
    ) -> dict[int, UnmetNeeds]:
        waiting = self.waiting.get(job_id, {})
        places = [ListedTask(parent_id, index) for index in indexes]
        return {place.index: waiting[place] for place in places if place in waiting}

    def ready(self, job_id: str, parent_id: str | None, limit: int) -> dict[int, UnmetNeeds]:
        waiting = self.waiting.get(job_id, {})
        ready = {
            place.index: needs
            for place, needs in waiting.items()
            if place.parent_id == parent_id and not needs.number
        }
        return {index: ready[index] for index in sorted(ready)[:limit]}

    def created_children(self, parent_id: str, limit: int) -> Sequence[Task]:
        children = [task for task in self.tasks.values() if task.parent_id == parent_id]
        created = [task for task in children if task.state is TaskState.CREATED]
        return sorted(created, key=lambda task: task.index)[:limit]

    def results(self, job_id: str) -> dict[str, str]:
        return self.job_results.get(job_id, {})

    def item_batch(self, task: Task, first: int) -> ItemBatch:
        return self.items[task.id, first]

    def dispatched(self, job_id: str) -> Dispatched:
        return self.dispatched_by.get(job_id, NOTHING)

    # ------------------------------------------------------------ events

    def running(self) -> list[Task]:
        """Return the tasks that run on a node."""
        return [task for task in self.tasks.values() if task.node and task.state is TaskState.RUNNING]

    def claimable(self) -> list[Task]:
        """Return the tasks that a node may claim, now or when their retry is due."""
        states = (TaskState.SCHEDULED, TaskState.PENDING)
        return [task for task in self.tasks.values() if task.state in states]

    def claim(self, task: Task) -> None:
        if task.state is TaskState.PENDING:
            task = transitions.retry_due(task, now=self.now)
            self._store_task(task)
        self._store_task(replace(task.with_state(TaskState.RUNNING), node=NODE))
        job = self.jobs[task.job_id]
        if job.state is JobState.SCHEDULED:
            self._store_job(job.with_state(JobState.RUNNING))

    def finish(self, task: Task, result: str = "") -> None:
        self._end_steps(task, Outcome.COMPLETED, result=result)

    def fail(self, task: Task) -> None:
        self._end_steps(task, Outcome.FAILED, error="e")

    def redeliver(self, task: Task) -> None:
        if task.outcome is None:
            self._store_task(transitions.redeliver(task, now=self.now, lease_s=10.0))

    def advance(self, task: Task) -> None:
        plan = self._advance(task)
        if plan is not None:
            self._apply(plan)
            assert self._advance(self.tasks[task.id]) is None, "a second call does nothing"

    def cancel(self) -> None:
        if not self.job.state.ended:
            self._cancel(self.job)

    def restart(self, start: RestartFrom | None = None) -> None:
        """Restart the job, a completed one only from a task. Does nothing to one that has not ended."""
        if self.job.state in (JobState.FAILED, JobState.CANCELLED) or (start and self.job.state.ended):
            plan = transitions.restart(self.job, self, now=self.now, random=RANDOM, start=start)
            self._apply(plan)

    def run(self, results: dict[str, str] | None = None) -> None:
        """Run all tasks successfully, one after the other. `results` has results by task name."""
        while claimable := self.claimable():
            self.claim(claimable[0])
            task = self.tasks[claimable[0].id]
            self.finish(task, (results or {}).get(task.definition.name or "", ""))

    def play(self, event: str, index: int = 0) -> None:
        """Let an event happen to the task at `index` of those that it can happen to, if there are any."""
        if event == "cancel":
            self.cancel()
        elif event == "restart":
            self.restart()
        elif tasks := self.claimable() if event == "claim" else self.running():
            task = tasks[index % len(tasks)]
            {"claim": self.claim, "finish": self.finish, "fail": self.fail, "lose": self.redeliver}[event](
                task
            )

    # ------------------------------------------------------------ plans

    def ended(
        self,
        task: Task,
        outcome: Outcome = Outcome.COMPLETED,
        *,
        result: str | None = "",
        error: str | None = None,
    ) -> Task:
        """Return a task whose steps have ended."""
        return replace(task, outcome=outcome, result=result, error=error)

    def _end_steps(
        self, task: Task, outcome: Outcome, *, result: str | None = None, error: str | None = None
    ) -> None:
        if task.outcome is None:
            self._store_task(self.ended(task, outcome, result=result, error=error))
        self.advance(self.tasks[task.id])

    def _advance(self, task: Task) -> Plan | None:
        return transitions.advance(self.jobs[task.job_id], task, self, now=self.now, random=RANDOM)

    def _cancel(self, job: Job) -> None:
        self._apply(transitions.cancel(job, self, now=self.now, random=RANDOM))

    def _apply(self, plan: Plan) -> None:
        self._store_job(plan.job)
        self.superseded |= {
            task.id for task in self.current_run(plan.job.id) if task.position in plan.superseded
        }
        for var in plan.removed_results:
            self.job_results[plan.job.id].pop(var, None)
        for place in plan.started:
            del self.waiting[plan.job.id][place]
        for task in plan.changed:
            same_definition = task.definition == self.tasks[task.id].definition
            assert same_definition or task.id in plan.redefined, "only redefined tasks store a definition"
            self._store_task(task)
        for batch in plan.taken_items:
            assert self.items.pop((batch.task_id, batch.first)) == batch
        self._add_rows(plan)
        root_id = plan.job.root_id or plan.job.id
        before = NOTHING if plan.restarted else self.dispatched(root_id)
        self.dispatched_by[root_id] = Dispatched(
            tasks=before.tasks + plan.dispatched.tasks,
            chars=before.chars + plan.dispatched.chars,
            queues=before.queues | plan.dispatched.queues,
        )
        for task in self._stop_active(plan):
            if task.subjob_id and not self.jobs[task.subjob_id].state.ended:
                self._cancel(self.jobs[task.subjob_id])
        self._follow_up(plan)

    def _store_new_job(self, plan: Plan) -> None:
        self.jobs[plan.job.id] = plan.job
        self._add_rows(plan)

    def _add_rows(self, plan: Plan) -> None:
        self.job_results.setdefault(plan.job.id, {}).update(plan.results)
        for task in plan.added:
            assert task.id not in self.tasks
            self.tasks[task.id] = task
        waiting = self.waiting.setdefault(plan.job.id, {})
        waiting |= {each.place: each.needs for each in plan.waiting}
        if plan.job.state.ended:
            waiting.clear()
        self.items |= {(batch.task_id, batch.first): batch for batch in plan.added_items}
        for subjob in plan.subjobs:
            self._store_new_job(subjob)

    def _stop_active(self, plan: Plan) -> list[Task]:
        stopped: list[Task] = []
        while active := [
            task
            for task in self.tasks.values()
            if task.job_id == plan.job.id
            and task.state.active
            and (plan.stop or (plan.stops_children and self._has_ended_parent(task)))
        ]:
            for task in active:
                self._store_task(task.with_state(plan.stop or TaskState.STOPPED))
            stopped += active
        return stopped

    def _has_ended_parent(self, task: Task) -> bool:
        return task.parent_id is not None and not self.tasks[task.parent_id].state.active

    def _follow_up(self, plan: Plan) -> None:
        for task in plan.scheduled:
            assert task.state is TaskState.SCHEDULED
            assert task.id in self.tasks
        for subjob in plan.subjobs:
            self._follow_up(subjob)
        for id_ in plan.partly_started:
            self._start_more(id_)
        if plan.job.state.ended and plan.job.parent_id:
            self._resume_parent(plan.job, self.tasks[plan.job.parent_id])

    def _start_more(self, id_: str) -> None:
        if id_ in self.jobs:
            more = transitions.start_tasks(self.jobs[id_], self, now=self.now, random=RANDOM)
        else:
            parent = self.tasks[id_]
            job = self.jobs[parent.job_id]
            more = transitions.start_children(job, parent, self, now=self.now, random=RANDOM)
        if more is not None:
            self._apply(more)

    def _resume_parent(self, subjob: Job, task: Task) -> None:
        plan = transitions.subjob_ended(
            self.jobs[task.job_id], task, subjob, self, now=self.now, random=RANDOM
        )
        if plan is not None:
            self._apply(plan)

    def _store_task(self, task: Task) -> None:
        before = self.tasks[task.id]
        if task.state is not before.state:
            check_task_move(before.state, task.state)
        if task.size:
            assert 0 <= task.completions <= task.started_children <= task.created_children <= task.size
            if task.concurrency:
                assert task.started_children - task.completions <= task.concurrency
        self.tasks[task.id] = task

    def _store_job(self, job: Job) -> None:
        before = self.jobs[job.id]
        if job.state is not before.state:
            check_job_move(before.state, job.state)
        self.jobs[job.id] = job


def run_job(*tasks: TaskDefinition, results: dict[str, str] | None = None, **values: Any) -> Simulation:
    """Submit a job and run all its tasks. `results` has results by task name, `values` fields of the job."""
    simulation = Simulation(job_definition(*tasks, **values))
    simulation.run(results)
    return simulation
