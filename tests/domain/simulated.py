"""A whole installation in memory: jobs and tasks, and every move that they make."""

from collections.abc import Sequence
from dataclasses import replace

from tests.domain.samples import RANDOM
from tork_celery.domain import transitions
from tork_celery.domain.definition import JobDefinition
from tork_celery.domain.model import Job, Task
from tork_celery.domain.plan import Plan
from tork_celery.domain.states import ACTIVE, JobState, Outcome, TaskState, check_job_move, check_task_move


class Simulation:
    """Applies plans as the services do, and checks that each move is a legal one."""

    def __init__(self, definition: JobDefinition) -> None:
        self.jobs: dict[str, Job] = {}
        self.tasks: dict[str, Task] = {}
        self.now = 0.0
        plan = transitions.submit(definition, now=self.now, random=RANDOM)
        self.first = plan.job.id
        self._add(plan)
        self._follow_up(plan)

    @property
    def job(self) -> Job:
        return self.jobs[self.first]

    def named(self, name: str) -> list[Task]:
        return [task for task in self.tasks.values() if task.definition.name == name]

    def states(self) -> dict[str, list[str]]:
        """Of all tasks, by name."""
        found: dict[str, list[str]] = {}
        for task in self.tasks.values():
            found.setdefault(task.definition.name or "", []).append(str(task.state))
        return found

    # ------------------------------------------------------------ the relatives of a job

    def task(self, task_id: str) -> Task:
        return self.tasks[task_id]

    def created_children(self, parent_id: str, limit: int) -> Sequence[Task]:
        children = [task for task in self.tasks.values() if task.parent_id == parent_id]
        waiting = [task for task in children if task.state is TaskState.CREATED]
        return sorted(waiting, key=lambda task: task.index)[:limit]

    # ------------------------------------------------------------ what happens

    def at_work(self) -> list[Task]:
        return [task for task in self.tasks.values() if task.node and task.state is TaskState.RUNNING]

    def due(self) -> list[Task]:
        waiting = (TaskState.SCHEDULED, TaskState.PENDING)
        return [task for task in self.tasks.values() if task.state in waiting]

    def claim(self, task: Task) -> None:
        self._put(replace(task, state=TaskState.RUNNING, node="n"))
        job = self.jobs[task.job_id]
        if job.state is JobState.SCHEDULED:
            self._put_job(replace(job, state=JobState.RUNNING))

    def finish(self, task: Task, result: str = "") -> None:
        if task.outcome is None:
            self._put(replace(task, outcome=Outcome.COMPLETED, result=result))
        self.advance(self.tasks[task.id])

    def fail(self, task: Task) -> None:
        if task.outcome is None:
            self._put(replace(task, outcome=Outcome.FAILED, error="e"))
        self.advance(self.tasks[task.id])

    def redeliver(self, task: Task) -> None:
        if task.outcome is None:
            self._put(transitions.redeliver(task, now=self.now))

    def advance(self, task: Task) -> None:
        plan = transitions.advance(self.jobs[task.job_id], task, self, now=self.now, random=RANDOM)
        if plan is None:
            return
        self._apply(plan)
        again = transitions.advance(
            self.jobs[task.job_id], self.tasks[task.id], self, now=self.now, random=RANDOM
        )
        assert again is None, "it is idempotent"

    def cancel(self) -> None:
        if not self.job.state.ended:
            self._apply(transitions.cancel(self.job, self, now=self.now, random=RANDOM))

    def restart(self) -> None:
        if self.job.state in (JobState.FAILED, JobState.CANCELLED):
            self._apply(transitions.restart(self.job, now=self.now, random=RANDOM))

    def run(self, results: dict[str, str] | None = None) -> None:
        """All that is sent runs and succeeds, until there is nothing left."""
        while due := self.due():
            self.claim(due[0])
            task = self.tasks[due[0].id]
            self.finish(task, (results or {}).get(task.definition.name or "", ""))

    # ------------------------------------------------------------ plans

    def _apply(self, plan: Plan) -> None:
        self._put_job(plan.job)
        for task in plan.changed:
            same = task.definition == self.tasks[task.id].definition
            assert same or task.id in plan.redefined, "what is not named is not stored"
            self._put(task)
        for task in plan.added:
            assert task.id not in self.tasks
            self.tasks[task.id] = task
        for subjob in plan.subjobs:
            self._add(subjob)
        stopped = self._stop(plan)
        for task in stopped:
            if task.subjob_id and not self.jobs[task.subjob_id].state.ended:
                self._apply(transitions.cancel(self.jobs[task.subjob_id], self, now=self.now, random=RANDOM))
        self._follow_up(plan)

    def _add(self, plan: Plan) -> None:
        self.jobs[plan.job.id] = plan.job
        self.tasks |= {task.id: task for task in plan.added}
        for subjob in plan.subjobs:
            self._add(subjob)

    def _stop(self, plan: Plan) -> list[Task]:
        if plan.stop is None:
            return []
        active = [t for t in self.tasks.values() if t.job_id == plan.job.id and t.state in ACTIVE]
        for task in active:
            self._put(replace(task, state=plan.stop))
        return active

    def _follow_up(self, plan: Plan) -> None:
        for task in plan.send:
            assert self.tasks[task.id].state in (TaskState.SCHEDULED, TaskState.PENDING)
        for subjob in plan.subjobs:
            self._follow_up(subjob)
        for parent_id in plan.partly_started:
            parent = self.tasks[parent_id]
            job = self.jobs[parent.job_id]
            more = transitions.start_children(job, parent, self, now=self.now, random=RANDOM)
            if more is not None:
                self._apply(more)
        if plan.job.state.ended and plan.job.parent_id:
            task = self.tasks[plan.job.parent_id]
            ended = transitions.subjob_ended(
                self.jobs[task.job_id], task, plan.job, self, now=self.now, random=RANDOM
            )
            if ended is not None:
                self._apply(ended)

    def _put(self, task: Task) -> None:
        before = self.tasks[task.id]
        if task.state is not before.state:
            check_task_move(before.state, task.state)
        if task.size:
            assert 0 <= task.completions <= task.started_children <= task.size
            if task.concurrency:
                assert task.started_children - task.completions <= task.concurrency
        self.tasks[task.id] = task

    def _put_job(self, job: Job) -> None:
        before = self.jobs[job.id]
        if job.state is not before.state:
            check_job_move(before.state, job.state)
        self.jobs[job.id] = job
