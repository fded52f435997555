"""Random graphs under random events do what a small model of them does."""

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.domain.samples import job_definition, leaf
from tests.domain.simulated import Simulation
from tork_celery.domain.definition import Retry, TaskDefinition
from tork_celery.domain.model import Task
from tork_celery.domain.run_again import RestartFrom
from tork_celery.domain.states import TaskState


@dataclass
class Model:
    """A job: the tasks that each of its tasks needs, which are skipped, and which are retried once."""

    needs: list[set[int]]
    skipped: set[int]
    retried: set[int]
    fail_fast: bool
    state: str = "RUNNING"
    to_run: set[int] = field(default_factory=set)
    done: set[int] = field(default_factory=set)
    active: set[int] = field(default_factory=set)
    failed_once: set[int] = field(default_factory=set)
    failed: set[int] = field(default_factory=set)

    def start(self, to_run: set[int]) -> None:
        self.state, self.to_run = "RUNNING", to_run
        self.done -= to_run
        self.failed_once.clear()
        self.failed.clear()
        self.begin()

    def begin(self) -> None:
        """Begin all tasks whose needs are done. Skipped ones are done at once."""
        while ready := {i for i in self.to_run - self.ended - self.active if self.is_ready(i)}:
            not_run = {i for i in ready if self.needs[i] & self.failed}
            self.failed |= not_run
            self.done |= ready & self.skipped - not_run
            self.active |= ready - self.skipped - not_run
        if self.to_run <= self.ended:
            self.state = "FAILED" if self.failed else "COMPLETED"

    @property
    def ended(self) -> set[int]:
        return self.done | self.failed

    def is_ready(self, index: int) -> bool:
        return not (self.needs[index] & self.to_run) - self.ended

    def finish(self, index: int) -> None:
        self.active.remove(index)
        self.done.add(index)
        self.begin()

    def fail(self, index: int) -> None:
        if index in self.retried and index not in self.failed_once:
            self.failed_once.add(index)
        elif not self.fail_fast:
            self.active.remove(index)
            self.failed.add(index)
            self.begin()
        else:
            self.end("FAILED")

    def end(self, state: str) -> None:
        self.state, self.active = state, set()

    def restart(self, first: int | None, *, only: bool) -> None:
        chosen = set() if first is None else {first}
        again = chosen if only else chosen | set(range(len(self.needs))) - self.done
        while not only and (more := {i for i, needs in enumerate(self.needs) if needs & again} - again):
            again |= more
        self.start(again)


@st.composite
def graphs(draw: st.DrawFn) -> list[TaskDefinition]:
    tasks = []
    for index in range(draw(st.integers(1, 8))):
        above = st.lists(
            st.sampled_from([f"t{i}" for i in range(index)] or ["none"]), unique=True, max_size=3
        )
        needs = draw(st.none() | above) if index else draw(st.sampled_from([None, []]))
        retry = draw(st.sampled_from([None, None, Retry(limit=1)]))
        condition = draw(st.sampled_from([None, None, None, "false"]))
        tasks.append(
            leaf(f"t{index}", needs=None if needs is None else tuple(needs), retry=retry, if_=condition)
        )
    return tasks


def model_of(tasks: list[TaskDefinition], *, fail_fast: bool) -> Model:
    needs = [
        set(range(index)) if task.needs is None else {int(need[1:]) for need in task.needs}
        for index, task in enumerate(tasks)
    ]
    skipped = {index for index, task in enumerate(tasks) if task.if_}
    retried = {index for index, task in enumerate(tasks) if task.retry}
    has_needs = any(task.needs is not None for task in tasks)
    model = Model(needs, skipped, retried, fail_fast=fail_fast or not has_needs)
    model.start(set(range(len(tasks))))
    return model


def play(simulation: Simulation, model: Model, event: str, number: int) -> None:
    size = len(model.needs)
    if model.state != "RUNNING":
        first = number % size if event in ("from", "only") else None
        if first is not None or (event == "restart" and model.state != "COMPLETED"):
            start = None if first is None else RestartFrom(name=f"t{first}", only=event == "only")
            simulation.restart(start)
            model.restart(first, only=event == "only")
    elif event == "cancel":
        simulation.cancel()
        model.end("CANCELLED")
    elif event in ("finish", "fail", "lose"):
        task = begun(simulation, sorted(model.active)[number % len(model.active)])
        if event == "lose":
            simulation.redeliver(task)
        else:
            (simulation.finish if event == "finish" else simulation.fail)(task)
            (model.finish if event == "finish" else model.fail)(task.position - 1)


def begun(simulation: Simulation, index: int) -> Task:
    """Return the active attempt of a task, which a node has claimed."""
    [task] = [task for task in active(simulation) if task.position == index + 1]
    if task.state is not TaskState.RUNNING:
        simulation.claim(task)
    return simulation.tasks[task.id]


def active(simulation: Simulation) -> list[Task]:
    return [task for task in simulation.tasks.values() if task.state.active]


EVENTS = st.sampled_from(["finish"] * 5 + ["fail", "lose", "cancel", "restart", "restart", "from", "only"])


@settings(max_examples=300, deadline=None)
@given(
    tasks=graphs(),
    fail_fast=st.booleans(),
    events=st.lists(st.tuples(EVENTS, st.integers(0, 20)), max_size=40),
)
def test_job_does_what_the_model_does(
    tasks: list[TaskDefinition], fail_fast: bool, events: list[tuple[str, int]]
) -> None:
    simulation = Simulation(job_definition(*tasks, fail_fast=fail_fast))
    model = model_of(tasks, fail_fast=fail_fast)
    for event, number in [*events, *[("finish", 0)] * len(tasks)]:
        assert {task.position - 1 for task in active(simulation)} == model.active
        assert len(active(simulation)) == len(model.active), "no task runs twice at a time"
        assert simulation.job.done_tasks == len(model.done)
        assert simulation.job.state.ended == (model.state != "RUNNING")
        play(simulation, model, event, number)
    assert simulation.job.state == model.state
    assert not active(simulation)
    assert not simulation.waiting[simulation.job_id]
