"""The order in which tasks start and end: composites, results, retries, restarts."""

import pytest

from tests.domain.samples import RANDOM, each, job_definition, leaf, parallel
from tests.domain.simulated import Simulation, run_job
from tork_celery.domain import plan_limits, planner, transitions
from tork_celery.domain.definition import AutoDelete, Retry
from tork_celery.domain.plan_limits import MAX_STARTED_CHILDREN
from tork_celery.domain.states import JobState


@pytest.mark.covers("Task.var")
def test_later_tasks_see_a_result_by_its_var() -> None:
    done = run_job(
        leaf("one", var="a"),
        leaf("two {{ tasks.a }}", env={"A": "{{ tasks.a + inputs.b }}"}),
        results={"one": "1"},
        inputs={"b": "2"},
        output="{{ tasks.a }}!",
    )
    [two] = done.named("two 1")
    assert (two.definition.env, done.job.result) == ({"A": "12"}, "1!")


def test_var_that_is_no_identifier_is_read_with_brackets() -> None:
    done = run_job(
        leaf("one", var="my-{{ inputs.b }}.1"),
        results={"one": "1"},
        inputs={"b": "var"},
        output="{{ tasks['my-var.1'] }}",
    )
    assert (done.stored_results, done.job.result) == ({"my-var.1": "1"}, "1")


def test_children_with_heavy_expressions_start_in_several_plans(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(plan_limits, "MAX_STEPS", plan_limits.MAX_STEPS // 20)
    heavy = each("sequence(0, 30)", leaf(cmd=("{{ len(map(1..1500, # * 2)) }}",)))
    plan = transitions.submit(job_definition(heavy), now=0.0, random=RANDOM)
    assert 0 < len(plan.scheduled) < 30
    assert len(plan.partly_started) == 1
    assert len(Simulation(job_definition(heavy)).claimable()) == 30


def test_job_whose_tasks_are_all_skipped_completes() -> None:
    done = run_job(leaf(if_="false"), parallel(leaf(), if_="false"))
    assert (done.job.state, done.job.progress) == (JobState.COMPLETED, 100.0)


@pytest.mark.covers("Job.output")
def test_output_that_cannot_be_evaluated_fails_the_job() -> None:
    failed = run_job(leaf(), output="{{ nope }}")
    assert failed.job.state is JobState.FAILED
    assert (failed.job.error or "").startswith("output: ")


def test_restart_after_a_failed_output_runs_no_task() -> None:
    failed = run_job(leaf(var="a"), output="{{ fromJSON(tasks.a).b }}", results={"leaf": "{"})
    assert failed.job.state is JobState.FAILED
    failed.restart()
    assert (failed.claimable(), failed.states()) == ([], {"leaf": ["COMPLETED"]})


@pytest.mark.covers("AutoDelete.after", "Job.autoDelete")
def test_ended_job_has_the_time_of_its_deletion() -> None:
    assert run_job(leaf(), auto_delete=AutoDelete(after="2s")).job.delete_at == 2.0


@pytest.mark.covers("Parallel.tasks", "Task.parallel")
def test_parallel_tasks_start_together_and_the_next_task_waits_for_all() -> None:
    simulation = Simulation(job_definition(parallel(leaf("a", var="a"), leaf("b")), leaf("c")))
    assert simulation.states() == {"parallel": ["RUNNING"], "a": ["SCHEDULED"], "b": ["SCHEDULED"]}
    assert simulation.job.state is JobState.RUNNING
    simulation.run({"a": "1"})
    assert simulation.states() == {name: ["COMPLETED"] for name in ("parallel", "a", "b", "c")}
    assert simulation.stored_results == {"a": "1"}


@pytest.mark.covers("Each.list", "Each.task", "Task.each")
def test_each_runs_its_task_for_every_item() -> None:
    definition = each("{{ sequence(1, 4) }}", leaf("{{ item.index }}: {{ item.value }}"))
    assert run_job(definition).states() == {"each": ["COMPLETED"]} | {
        f"{index}: {index + 1}": ["COMPLETED"] for index in range(3)
    }


@pytest.mark.covers("Each.var")
def test_each_item_has_the_name_of_var_and_may_be_any_value() -> None:
    inner = each("outer.value.list", leaf("{{ outer.value.n }}{{ inner.value }}"), var="inner")
    done = run_job(each('[{"n": "a", "list": [1, 2]}, {"n": "b", "list": [3]}]', inner, var="outer"))
    assert set(done.states()) == {"each", "a1", "a2", "b3"}


def test_item_that_json_does_not_have_becomes_text() -> None:
    done = run_job(each("[1/0, 0/0, now()]", leaf("{{ item.value }}")))
    assert set(done.states()) == {"each", "+Inf", "NaN", "1970-01-01 00:00:00 +0000 UTC"}


def test_each_over_an_empty_list_completes_at_once() -> None:
    assert run_job(each("[]", leaf()), leaf("next")).states() == {
        "each": ["COMPLETED"],
        "next": ["COMPLETED"],
    }


@pytest.mark.covers("Each.concurrency")
def test_concurrency_limits_the_children_that_run() -> None:
    simulation = Simulation(job_definition(each("sequence(0, 5)", leaf(), concurrency=2)))
    order = []
    while claimable := simulation.claimable():
        assert len(claimable) <= 2
        simulation.claim(claimable[-1])
        order.append(claimable[-1].index)
        simulation.finish(simulation.tasks[claimable[-1].id])
    assert sorted(order) == [0, 1, 2, 3, 4]
    assert simulation.job.state is JobState.COMPLETED


def test_ends_of_children_start_others_beyond_those_that_are_active(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planner, "MAX_ACTIVE_CHILDREN", 3)
    simulation = Simulation(job_definition(each("sequence(0, 10)", leaf())))
    started = 0
    while claimable := simulation.claimable():
        assert len(claimable) <= 3
        simulation.claim(claimable[0])
        simulation.finish(simulation.tasks[claimable[0].id])
        started += 1
    assert (started, simulation.job.state) == (10, JobState.COMPLETED)


def test_long_list_starts_in_several_plans() -> None:
    count = 2 * MAX_STARTED_CHILDREN + 10
    simulation = Simulation(job_definition(each(f"sequence(0, {count})", leaf())))
    assert len(simulation.claimable()) == count
    assert [task.index for task in simulation.claimable()] == list(range(count))


def test_long_list_whose_items_are_all_skipped_completes() -> None:
    count = 2 * MAX_STARTED_CHILDREN + 10
    everything = each(f"sequence(0, {count})", leaf(if_="false"))
    plan = transitions.submit(job_definition(everything), now=0.0, random=RANDOM)
    assert len(plan.partly_started) == 1, "one message continues it"
    done = run_job(each(f"sequence(0, {count})", leaf(if_="false"), concurrency=3))
    assert (done.job.state, len(done.named("leaf"))) == (JobState.COMPLETED, count)


def test_failed_child_fails_its_composites_and_stops_its_siblings() -> None:
    simulation = Simulation(
        job_definition(parallel(leaf("a"), each("[1, 2, 3]", leaf("b"), concurrency=1), leaf("c")), leaf("d"))
    )
    [a], [c] = simulation.named("a"), simulation.named("c")
    simulation.claim(a)
    simulation.claim(c)
    simulation.fail(simulation.tasks[a.id])
    assert simulation.states() == {
        "parallel": ["FAILED"],
        "a": ["FAILED"],
        "each": ["STOPPED"],
        "b": ["STOPPED", "STOPPED", "STOPPED"],
        "c": ["STOPPED"],
    }
    assert (simulation.job.state, simulation.job.error) == (JobState.FAILED, "e")


def test_failed_child_with_a_retry_is_retried() -> None:
    simulation = Simulation(job_definition(each("[7]", leaf("{{ item.value }}", retry=Retry(limit=1)))))
    [first] = simulation.claimable()
    simulation.claim(first)
    simulation.fail(simulation.tasks[first.id])
    simulation.run()
    assert simulation.states() == {"each": ["COMPLETED"], "7": ["FAILED", "COMPLETED"]}


def test_restart_runs_a_composite_from_its_start() -> None:
    simulation = Simulation(job_definition(leaf("first"), parallel(leaf("a"), leaf("b"))))
    simulation.claim(simulation.claimable()[0])
    simulation.finish(simulation.running()[0])
    simulation.claim(simulation.named("a")[0])
    simulation.fail(simulation.running()[0])
    simulation.restart()
    simulation.run()
    assert simulation.job.state is JobState.COMPLETED
    assert simulation.states() == {
        "first": ["COMPLETED"],
        "parallel": ["FAILED", "COMPLETED"],
        "a": ["FAILED", "COMPLETED"],
        "b": ["STOPPED", "COMPLETED"],
    }
