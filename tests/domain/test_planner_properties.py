"""Any job under any order of events."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.domain.samples import each, job_definition, leaf, parallel, subjob
from tests.domain.simulated import Simulation
from tork_celery.domain.definition import Retry, TaskDefinition
from tork_celery.domain.states import JobState, TaskState

LEAVES = st.builds(
    leaf,
    if_=st.sampled_from([None] * 8 + ["false", "nope"]),
    retry=st.sampled_from([None, Retry(limit=1), Retry(limit=2)]),
    allow_failure=st.sampled_from([None, None, True]),
)
TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(
            lambda tasks, allowed: parallel(*tasks, allow_failure=allowed),
            st.lists(inner, min_size=1, max_size=3),
            st.sampled_from([None, None, True]),
        ),
        st.builds(
            each,
            st.sampled_from(["[1, 2, 3]", "[1, 2, 3]", "[1, 2]", "[]", "1"]),
            inner,
            concurrency=st.integers(0, 2),
        ),
        st.lists(inner, min_size=1, max_size=2).map(lambda tasks: subjob(*tasks)),
        st.lists(inner, min_size=1, max_size=2).map(lambda tasks: subjob(*tasks, detached=True)),
    ),
    max_leaves=6,
)
EVENTS = ["claim"] * 4 + ["finish"] * 3 + ["fail", "lose", "lose", "cancel", "restart"]


@settings(max_examples=150, deadline=None)
@given(
    tasks=st.lists(TREES, min_size=1, max_size=3),
    needs=st.sampled_from([None, ()]),
    fail_fast=st.sampled_from([None, False]),
    events=st.lists(st.tuples(st.sampled_from(EVENTS), st.integers(0, 5)), min_size=5, max_size=40),
)
def test_job_makes_allowed_moves_and_ends(
    tasks: list[TaskDefinition],
    needs: tuple[str, ...] | None,
    fail_fast: bool | None,
    events: list[tuple[str, int]],
) -> None:
    branches = [replace(task, needs=needs) for task in tasks]
    simulation = Simulation(job_definition(*branches, fail_fast=fail_fast))
    for event, index in events:
        simulation.play(event, index)
    while active := [*simulation.claimable(), *simulation.running()]:
        task = active[0]
        if task.state is not TaskState.RUNNING:
            simulation.claim(task)
        simulation.finish(simulation.tasks[task.id])

    assert all(job.state.ended for job in simulation.jobs.values())
    assert not any(task.state.active for task in simulation.tasks.values())
    for job in simulation.jobs.values():
        assert (job.state is JobState.FAILED) == (job.error is not None)
