"""Tasks with `needs`: which tasks begin when, and what one plan writes."""

from dataclasses import replace

import pytest

from tests.domain.samples import RANDOM, each, job_definition, leaf, parallel, subjob
from tests.domain.simulated import Simulation, run_job
from tork_celery.domain import transitions
from tork_celery.domain.definition import AllowFailure, Retry, TaskDefinition
from tork_celery.domain.errors import InvalidInput
from tork_celery.domain.model import Task
from tork_celery.domain.plan_limits import MAX_STARTED_CHILDREN
from tork_celery.domain.run_again import RestartFrom
from tork_celery.domain.states import JobState, Outcome
from tork_celery.domain.task_graph import TaskGraph


def waiting_names(simulation: Simulation) -> set[str]:
    return {task.definition.name or "" for task in simulation.claimable()}


def end(simulation: Simulation, name: str, result: str = "", *, failed: bool = False) -> None:
    """Let the latest task of this name run and end."""
    task = simulation.named(name)[-1]
    simulation.claim(task)
    task = simulation.tasks[task.id]
    if failed:
        simulation.fail(task)
    else:
        simulation.finish(task, result)


DIAMOND = (leaf("a"), leaf("b", needs=("a",)), leaf("c", needs=("a",)), leaf("d", needs=("b", "c")))


@pytest.mark.covers("Task.needs")
def test_task_begins_when_all_that_it_needs_is_done() -> None:
    simulation = Simulation(job_definition(*DIAMOND))
    assert waiting_names(simulation) == {"a"}
    end(simulation, "a")
    assert waiting_names(simulation) == {"b", "c"}
    end(simulation, "c")
    assert waiting_names(simulation) == {"b"}
    assert (simulation.job.position, simulation.job.progress) == (3, 50.0)
    end(simulation, "b")
    assert waiting_names(simulation) == {"d"}
    end(simulation, "d")
    assert (simulation.job.state, simulation.job.position) == (JobState.COMPLETED, 5)


def test_needs_of_one_task_change_that_task_only() -> None:
    simulation = Simulation(
        job_definition(leaf("a"), leaf("b"), leaf("early", needs=()), leaf("c"), leaf("d", needs=("early",)))
    )
    assert waiting_names(simulation) == {"a", "early"}
    end(simulation, "a")
    end(simulation, "early")
    assert waiting_names(simulation) == {"b", "d"}
    end(simulation, "b")
    assert waiting_names(simulation) == {"c", "d"}


def test_task_without_needs_waits_for_everything_above() -> None:
    simulation = Simulation(job_definition(leaf("a"), leaf("b", needs=()), leaf("c"), leaf("d")))
    end(simulation, "a")
    assert waiting_names(simulation) == {"b"}
    end(simulation, "b")
    assert waiting_names(simulation) == {"c"}


def test_need_is_a_name_as_written_or_a_var() -> None:
    simulation = Simulation(
        job_definition(leaf("a", var="x"), leaf("{{ 1 }}", var="y"), leaf("c", needs=("x",)))
    )
    end(simulation, "a")
    assert waiting_names(simulation) == {"1", "c"}


def test_skipped_need_is_done() -> None:
    done = run_job(leaf("a", if_="false"), leaf("b", needs=("a",)), leaf("c", needs=("b",)))
    assert done.states() == {"a": ["SKIPPED"], "b": ["COMPLETED"], "c": ["COMPLETED"]}


def test_condition_is_evaluated_when_the_last_need_has_ended() -> None:
    definition = leaf("c", needs=("a", "b"), if_='tasks.a == "1" && tasks.b == "2"')
    simulation = Simulation(
        job_definition(leaf("a", var="a", needs=()), leaf("b", var="b", needs=()), definition)
    )
    end(simulation, "b", "2")
    assert not simulation.named("c")
    end(simulation, "a", "1")
    assert waiting_names(simulation) == {"c"}


def test_composite_is_done_when_all_in_it_is() -> None:
    simulation = Simulation(
        job_definition(each("[1, 2]", leaf("{{ item.value }}")), leaf("b", needs=("each",)))
    )
    end(simulation, "1")
    assert not simulation.named("b")
    end(simulation, "2")
    assert waiting_names(simulation) == {"b"}


def test_retried_need_is_not_done_before_its_last_attempt() -> None:
    simulation = Simulation(job_definition(leaf("a", retry=Retry(limit=1)), leaf("b", needs=("a",))))
    end(simulation, "a", failed=True)
    assert not simulation.named("b")
    end(simulation, "a")
    assert waiting_names(simulation) == {"b"}


def test_failed_branch_stops_the_others() -> None:
    simulation = Simulation(job_definition(*DIAMOND))
    end(simulation, "a")
    simulation.claim(simulation.named("c")[0])
    end(simulation, "b", failed=True)
    assert simulation.states() == {"a": ["COMPLETED"], "b": ["FAILED"], "c": ["STOPPED"]}
    assert (simulation.job.state, simulation.job.error) == (JobState.FAILED, "e")
    assert simulation.waiting[simulation.job_id] == {}


def test_needs_make_an_order_inside_parallel() -> None:
    children = (leaf("a"), leaf("b", needs=("a",)), leaf("c"), leaf("d", needs=("b", "c")))
    simulation = Simulation(job_definition(parallel(*children), leaf("next")))
    assert waiting_names(simulation) == {"a", "c"}
    end(simulation, "a")
    assert waiting_names(simulation) == {"b", "c"}
    end(simulation, "c")
    end(simulation, "b")
    assert waiting_names(simulation) == {"d"}
    end(simulation, "d")
    assert waiting_names(simulation) == {"next"}


def test_parallel_with_needs_inside_each_has_the_names_of_its_item() -> None:
    inner = parallel(leaf("a"), leaf("b {{ item.value }}", needs=("a",)))
    assert run_job(each("[1, 2]", inner)).states() == {
        "each": ["COMPLETED"],
        "parallel": ["COMPLETED", "COMPLETED"],
        "a": ["COMPLETED", "COMPLETED"],
        "b 1": ["COMPLETED"],
        "b 2": ["COMPLETED"],
    }


def test_tasks_of_a_subjob_may_have_needs() -> None:
    simulation = Simulation(job_definition(subjob(leaf("a"), leaf("b", needs=()))))
    assert waiting_names(simulation) == {"a", "b"}


def test_restart_keeps_what_was_done_in_other_branches() -> None:
    simulation = Simulation(
        job_definition(
            leaf("a", var="a"),
            leaf("b", needs=("a",), var="b"),
            leaf("c", needs=("a",), var="c"),
            leaf("d", needs=("b", "c")),
        )
    )
    end(simulation, "a", "1")
    end(simulation, "c", "3")
    end(simulation, "b", failed=True)

    simulation.restart()

    assert waiting_names(simulation) == {"b"}
    assert (simulation.job.position, simulation.job.progress) == (3, 50.0)
    end(simulation, "b", "2")
    end(simulation, "d")
    assert simulation.job.state is JobState.COMPLETED
    assert simulation.stored_results == {"a": "1", "b": "2", "c": "3"}
    assert simulation.states()["b"] == ["FAILED", "COMPLETED"]


def test_restart_removes_the_results_of_what_runs_again() -> None:
    simulation = Simulation(
        job_definition(leaf("a", needs=()), leaf("b", needs=(), var="b"), leaf("c", if_='tasks.b == "old"'))
    )
    end(simulation, "b", "old")
    simulation.cancel()
    simulation.superseded |= {task.id for task in simulation.named("b")}
    simulation.restart()
    assert simulation.stored_results == {}
    simulation.run()
    assert simulation.states()["c"] == ["SKIPPED"]


def test_needs_of_every_shape_take_one_row_for_each_task_that_begins() -> None:
    """Rows are written for what changed, not for the whole graph."""
    chain = [leaf(f"t{n}", needs=(f"t{n - 1}",) if n else ()) for n in range(10_000)]
    assert rows_of_an_advance(chain) == (1, 1, 0)
    middle = [leaf(f"m{n}", needs=("first",)) for n in range(998)]
    diamond = [leaf("first"), *middle, leaf("last", needs=tuple(task.name or "" for task in middle))]
    assert rows_of_an_advance(diamond) == (1, MAX_STARTED_CHILDREN + 1, 998 - MAX_STARTED_CHILDREN - 1)
    roots = [leaf(f"r{n}", needs=()) for n in range(5_000)]
    fan = [*roots, leaf("last", needs=tuple(task.name or "" for task in roots))]
    assert rows_of_an_advance(fan) == (1, 0, 1)


def rows_of_an_advance(tasks: list[TaskDefinition]) -> tuple[int, int, int]:
    """Return the rows that the end of the first task changes, adds, and leaves waiting."""
    simulation = Simulation(job_definition(*tasks))
    first = simulation.claimable()[0]
    simulation.claim(first)
    plan = transitions.advance(
        simulation.job, simulation.ended(simulation.tasks[first.id]), simulation, now=0.0, random=RANDOM
    )
    assert plan is not None
    return len(plan.changed), len(plan.added), len(plan.waiting)


def test_graph_of_tasks_without_needs_is_linear_in_size() -> None:
    graph = TaskGraph([leaf("x", needs=()), *(leaf(f"t{n}") for n in range(9_999))], ordered=True)
    assert sum(len(graph.needs(index)) for index in range(10_000)) < 20_000
    assert graph.with_dependents({5_000}) == set(range(5_000, 10_000))


def restart_from(
    simulation: Simulation, name: str, *, only: bool = False, attempt: Task | None = None
) -> None:
    simulation.restart(RestartFrom(name=name, only=only, attempt=attempt))


def test_restart_from_a_task_runs_it_and_what_needs_it() -> None:
    done = run_job(*DIAMOND, results={"a": "1"})
    restart_from(done, "b")
    assert (done.job.position, done.job.progress) == (3, 50.0)
    done.run()
    assert {name: len(states) for name, states in done.states().items()} == {"a": 1, "b": 2, "c": 1, "d": 2}
    assert done.job.state is JobState.COMPLETED


def test_restart_from_a_task_includes_what_is_not_done() -> None:
    """Otherwise a task would begin before what it needs is done."""
    simulation = Simulation(job_definition(*DIAMOND))
    end(simulation, "a")
    end(simulation, "c")
    end(simulation, "b", failed=True)
    restart_from(simulation, "c")
    assert waiting_names(simulation) == {"b", "c"}


def test_restart_of_one_task_keeps_the_results_of_the_others() -> None:
    tasks = [leaf(name, var=name) for name in ("a", "b", "c")]
    done = run_job(
        *tasks, output="{{ tasks.a }}{{ tasks.b }}{{ tasks.c }}", results={"a": "1", "b": "2", "c": "3"}
    )
    restart_from(done, "b", only=True)
    assert done.stored_results == {"a": "1", "c": "3"}
    done.run({"b": "9"})
    assert (done.job.state, done.job.result, done.job.position) == (JobState.COMPLETED, "193", 4)
    assert {name: len(states) for name, states in done.states().items()} == {"a": 1, "b": 2, "c": 1}


def test_second_restart_knows_what_the_first_one_has_not_run() -> None:
    done = run_job(leaf("a"), leaf("b"), leaf("c"))
    restart_from(done, "a")
    end(done, "a")
    end(done, "b", failed=True)
    done.restart()
    done.run()
    assert [len(done.named(name)) for name in ("a", "b", "c")] == [2, 3, 2]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("x", "from: no task of the job has this id, name or var"),
        ("twice", "from: 2 tasks of the job have this name or var; use the id"),
    ],
)
def test_task_to_restart_from_is_one_of_the_job(name: str, message: str) -> None:
    done = run_job(leaf("twice"), leaf("twice"), parallel(leaf("child")))
    with pytest.raises(InvalidInput, match=message):
        restart_from(done, name)


def test_task_to_restart_from_may_be_any_attempt_but_no_child() -> None:
    done = run_job(leaf("twice"), leaf("twice"), parallel(leaf("child")))
    restart_from(done, "", attempt=done.named("twice")[1])
    assert [len(done.named("twice"))] == [3]
    done.run()
    with pytest.raises(InvalidInput, match="composite"):
        restart_from(done, "", attempt=done.named("child")[0])


GOES_ON = (
    leaf("a", needs=()),
    leaf("b", needs=("a",)),
    leaf("c", needs=()),
    leaf("d", needs=("c",)),
    leaf("e"),
)


@pytest.mark.covers("Job.failFast")
def test_tasks_that_do_not_need_a_failed_one_go_on() -> None:
    simulation = Simulation(job_definition(*GOES_ON, fail_fast=False))
    end(simulation, "a", failed=True)
    assert (simulation.job.state, simulation.job.error) == (JobState.RUNNING, "e")
    assert waiting_names(simulation) == {"c"}
    end(simulation, "c")
    end(simulation, "d")
    assert (simulation.job.state, simulation.job.error, simulation.job.position) == (JobState.FAILED, "e", 3)
    assert simulation.states() == {
        "a": ["FAILED"],
        "b": ["SKIPPED"],
        "c": ["COMPLETED"],
        "d": ["COMPLETED"],
        "e": ["SKIPPED"],
    }
    assert {task.error for name in "be" for task in simulation.named(name)} == {"not run: a failed"}


def test_first_error_is_that_of_the_job() -> None:
    simulation = Simulation(job_definition(leaf("a", needs=()), leaf("b", needs=()), fail_fast=False))
    for name, error in (("b", "first"), ("a", "second")):
        simulation.claim(simulation.named(name)[0])
        task = simulation.tasks[simulation.named(name)[0].id]
        simulation.tasks[task.id] = simulation.ended(task, Outcome.FAILED, error=error)
        simulation.advance(simulation.tasks[task.id])
    assert (simulation.job.state, simulation.job.error) == (JobState.FAILED, "first")


@pytest.mark.covers("Task.allowFailure", "AllowFailure.exitCodes")
@pytest.mark.parametrize(
    ("allowed", "exit_code", "holds"),
    [
        (True, 1, True),
        (True, None, True),
        (AllowFailure(exit_codes=(2, 3)), 3, True),
        (AllowFailure(exit_codes=(2, 3)), 1, False),
        (AllowFailure(exit_codes=(2, 3)), None, False),
        (False, 1, False),
    ],
)
def test_allowed_failure_counts_as_done(
    allowed: bool | AllowFailure, exit_code: int | None, holds: bool
) -> None:
    simulation = Simulation(job_definition(leaf("a", allow_failure=allowed, var="a"), leaf("b")))
    [task] = simulation.named("a")
    simulation.claim(task)
    ended = simulation.ended(simulation.tasks[task.id], Outcome.FAILED, result=None, error="e")
    simulation.tasks[task.id] = replace(ended, exit_code=exit_code)
    simulation.advance(simulation.tasks[task.id])
    assert waiting_names(simulation) == ({"b"} if holds else set())
    assert simulation.states()["a"] == ["FAILED"]
    assert (simulation.job.position, simulation.job.error) == ((2, None) if holds else (1, "e"))
    assert simulation.stored_results == {}


def test_allowed_failure_is_judged_after_the_last_retry() -> None:
    definition = leaf("a", allow_failure=True, retry=Retry(limit=1))
    simulation = Simulation(job_definition(definition, leaf("b")))
    end(simulation, "a", failed=True)
    assert waiting_names(simulation) == {"a"}
    end(simulation, "a", failed=True)
    assert waiting_names(simulation) == {"b"}


def test_allowed_failure_of_a_child_stops_no_sibling() -> None:
    simulation = Simulation(job_definition(parallel(leaf("x", allow_failure=True), leaf("y"))))
    end(simulation, "x", failed=True)
    assert waiting_names(simulation) == {"y"}
    end(simulation, "y")
    assert simulation.job.state is JobState.COMPLETED


def test_allowed_failure_of_a_composite_stops_what_is_in_it() -> None:
    inner = parallel(leaf("x"), leaf("y"), allow_failure=True)
    simulation = Simulation(job_definition(inner, leaf("b")))
    end(simulation, "x", failed=True)
    assert simulation.states() == {
        "parallel": ["FAILED"],
        "x": ["FAILED"],
        "y": ["STOPPED"],
        "b": ["SCHEDULED"],
    }
    end(simulation, "b")
    assert (simulation.job.state, simulation.job.progress) == (JobState.COMPLETED, 100.0)


def test_allowed_failure_of_a_subjob_and_of_an_expression() -> None:
    done = Simulation(
        job_definition(
            replace(subjob(leaf("in")), allow_failure=True),
            leaf("x", if_="nope", allow_failure=True),
            leaf("b"),
        )
    )
    end(done, "in", failed=True)
    assert waiting_names(done) == {"b"}


def test_restart_leaves_an_allowed_failure() -> None:
    simulation = Simulation(job_definition(leaf("a", allow_failure=True), leaf("b")))
    end(simulation, "a", failed=True)
    end(simulation, "b", failed=True)
    simulation.restart()
    assert waiting_names(simulation) == {"b"}


def test_task_with_a_failed_need_is_not_run_before_its_other_needs_have_ended() -> None:
    tasks = (leaf("a", needs=()), leaf("b", needs=()), leaf("c", needs=("a", "b")))
    simulation = Simulation(job_definition(*tasks, fail_fast=False))
    end(simulation, "a", failed=True)
    assert not simulation.named("c")
    end(simulation, "b")
    assert simulation.states()["c"] == ["SKIPPED"]


def test_without_needs_the_job_fails_at_once_also_without_fail_fast() -> None:
    simulation = Simulation(job_definition(leaf("a"), leaf("b"), fail_fast=False))
    end(simulation, "a", failed=True)
    assert (simulation.job.state, simulation.states()) == (JobState.FAILED, {"a": ["FAILED"]})


def test_failed_child_stops_its_siblings_while_other_branches_go_on() -> None:
    inner = parallel(leaf("x"), leaf("y"), each("[1, 2]", leaf("z")))
    simulation = Simulation(job_definition(inner, leaf("c", needs=()), fail_fast=False))
    simulation.claim(simulation.named("y")[0])
    end(simulation, "x", failed=True)
    assert simulation.states() == {
        "parallel": ["FAILED"],
        "x": ["FAILED"],
        "y": ["STOPPED"],
        "each": ["STOPPED"],
        "z": ["STOPPED", "STOPPED"],
        "c": ["SCHEDULED"],
    }
    end(simulation, "c")
    assert simulation.job.state is JobState.FAILED


def test_children_of_a_composite_that_fails_as_it_starts_do_not_start() -> None:
    inner = parallel(each("[1]", leaf("z", if_="nope")), leaf("x", if_="nope"))
    simulation = Simulation(job_definition(inner, leaf("c", needs=()), fail_fast=False))
    assert simulation.states() == {
        "parallel": ["FAILED"],
        "each": ["STOPPED"],
        "x": ["FAILED"],
        "c": ["SCHEDULED"],
    }


def test_child_of_a_failed_composite_is_not_advanced() -> None:
    simulation = Simulation(
        job_definition(parallel(leaf("x"), leaf("y")), leaf("c", needs=()), fail_fast=False)
    )
    [late] = simulation.named("y")
    simulation.claim(late)
    late = simulation.ended(simulation.tasks[late.id])
    end(simulation, "x", failed=True)
    assert transitions.advance(simulation.job, late, simulation, now=0.0, random=RANDOM) is None


def test_restart_runs_what_was_skipped_after_a_failure() -> None:
    simulation = Simulation(job_definition(*GOES_ON, fail_fast=False))
    end(simulation, "a", failed=True)
    end(simulation, "c")
    end(simulation, "d")
    simulation.restart()
    assert waiting_names(simulation) == {"a"}
    simulation.run()
    assert simulation.job.state is JobState.COMPLETED
    assert {name: len(states) for name, states in simulation.states().items()} == {
        **dict.fromkeys("abe", 2),
        **dict.fromkeys("cd", 1),
    }


def test_many_tasks_that_need_a_failed_one_are_skipped_in_several_plans() -> None:
    rest = [leaf(f"t{n}", needs=("a",)) for n in range(500)]
    simulation = Simulation(job_definition(leaf("a"), *rest, fail_fast=False))
    end(simulation, "a", failed=True)
    assert simulation.job.state is JobState.FAILED
    assert len(simulation.tasks) == 501
