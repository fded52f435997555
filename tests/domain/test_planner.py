"""Composites, conditions and expressions on the way of a job; any order of events comes to an end."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.domain.samples import RANDOM, job_definition, task_definition
from tests.domain.simulated import Simulation
from tork_celery.domain import planner, transitions
from tork_celery.domain.definition import (
    AutoDelete,
    Defaults,
    Each,
    Limits,
    Parallel,
    Retry,
    StepDefinition,
    Subjob,
    TaskDefinition,
    Webhook,
)
from tork_celery.domain.planner import MAX_STARTED_CHILDREN
from tork_celery.domain.redaction import secrets_of_job
from tork_celery.domain.states import JobState, TaskState


def leaf(name: str = "leaf", **values: Any) -> TaskDefinition:
    return task_definition(name=name, **values)


def parallel(*tasks: TaskDefinition, **values: Any) -> TaskDefinition:
    return TaskDefinition(name="parallel", parallel=Parallel(tasks=tasks), **values)


def each(items: str, task: TaskDefinition, **values: Any) -> TaskDefinition:
    return TaskDefinition(name="each", each=Each(list=items, task=task, **values))


def subjob(*tasks: TaskDefinition, var: str | None = None, **values: Any) -> TaskDefinition:
    return TaskDefinition(name="subjob", var=var, subjob=Subjob(name="sub", tasks=tasks, **values))


def run(*tasks: TaskDefinition, results: dict[str, str] | None = None, **values: Any) -> Simulation:
    simulation = Simulation(job_definition(*tasks, **values))
    simulation.run(results)
    return simulation


@pytest.mark.covers("Task.var")
def test_the_result_of_a_task_is_there_for_the_next_ones_by_its_var() -> None:
    done = run(
        leaf("one", var="a"),
        leaf("two {{ tasks.a }}", env={"A": "{{ tasks.a + inputs.b }}"}),
        results={"one": "1"},
        inputs={"b": "2"},
        output="{{ tasks.a }}!",
    )
    [two] = done.named("two 1")
    assert (two.definition.env, done.job.result) == ({"A": "12"}, "1!")


def test_a_var_that_is_no_identifier_is_reached_by_brackets() -> None:
    done = run(
        leaf("one", var="my-{{ inputs.b }}.1"),
        results={"one": "1"},
        inputs={"b": "var"},
        output="{{ tasks['my-var.1'] }}",
    )
    assert (done.job.results, done.job.result) == ({"my-var.1": "1"}, "1")


@pytest.mark.covers("Step.name", "Task.name")
def test_every_field_that_may_be_a_template_is_evaluated() -> None:
    step = StepDefinition(name="{{ inputs.a }}", image="{{ inputs.a }}", timeout="{{ inputs.t }}")
    done = run(
        TaskDefinition(
            name="{{ inputs.a }}",
            image="{{ inputs.a }}",
            queue="{{ inputs.a }}",
            var="{{ inputs.a }}",
            cmd=("{{ inputs.a }}",),
            timeout="{{ inputs.t }}",
            priority="{{ inputs.p }}",
            limits=Limits(cpus="{{ inputs.p }}", memory="{{ inputs.m }}"),
            pre=(step,),
            post=(step,),
            run="{{ inputs.a }}",
        ),
        inputs={"a": "x", "t": "5s", "p": "7", "m": "16m"},
    )
    [task] = done.tasks.values()
    found = task.definition
    assert (found.name, found.image, found.queue, found.var, found.cmd) == ("x", "x", "x", "x", ("x",))
    assert (found.timeout, task.priority, found.limits) == ("5s", 7, Limits(cpus="7", memory="16m"))
    assert found.pre == found.post == (StepDefinition(name="x", image="x", timeout="5s"),)
    assert found.run == "{{ inputs.a }}", "a script is never a template"


@pytest.mark.covers("Subjob.name", "Job.secrets")
def test_a_secret_in_a_name_is_masked() -> None:
    done = run(
        leaf("a {{ secrets.s }}", pre=1, env={"A": "{{ secrets.s }}"}),
        TaskDefinition(name="{{ secrets.s }}", subjob=Subjob(name="{{ secrets.s }}", tasks=(leaf(),))),
        secrets={"s": "hunter2"},
    )
    assert set(done.states()) == {"a [REDACTED]", "[REDACTED]", "leaf"}
    assert [job.definition.name for job in done.jobs.values()] == ["a job", "[REDACTED]"]
    assert done.named("a [REDACTED]")[0].definition.env == {"A": "hunter2"}


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({"queue": "{{ 'control' }}"}, "queue: the system uses the queue 'control' for itself"),
        ({"timeout": "{{ 'soon' }}"}, "timeout: 'soon' is not a duration"),
        ({"timeout": "{{ '0s' }}"}, "timeout: '0s' must be longer than 0"),
        ({"priority": "{{ 10 }}"}, "priority: '10' is not a whole number from 0 to 9"),
        ({"limits": Limits(memory="{{ 1 }}")}, "limits.memory: '1' is too little memory"),
        ({"limits": Limits(cpus="{{ 'x' }}")}, "limits.cpus: 'x' is not a number of CPUs"),
        ({"var": "{{ '' }}"}, "var: must have from 1 to 64 characters"),
        ({"var": "{{ repeat('v', 65) }}"}, "var: must have from 1 to 64 characters"),
        ({"env": {"A": "{{ nope }}"}}, "env.A: "),
        ({"if_": "nope"}, "if: "),
        ({"cmd": ("a", "{{ inputs + 1 }}")}, "cmd[1]: "),
    ],
)
def test_an_expression_that_fails_or_does_not_fit_fails_the_task(values: dict[str, Any], error: str) -> None:
    failed = run(leaf(**values), leaf("next"))
    assert failed.states() == {"leaf": ["FAILED"]}
    assert failed.job.state is JobState.FAILED
    assert (failed.job.error or "").startswith(error)


@pytest.mark.covers("Task.if")
@pytest.mark.parametrize("condition", ["false", "{{ false }}", "1 == 2", "'false'", "inputs.a == 'y'"])
def test_an_if_that_is_false_skips_the_task(condition: str) -> None:
    done = run(leaf("one", if_=condition, var="a"), leaf("two"), inputs={"a": "x"})
    assert done.states() == {"one": ["SKIPPED"], "two": ["COMPLETED"]}
    assert done.job.results == {}


@pytest.mark.parametrize("condition", ["0", "{{ 0.0 }}", "nil", "''", "[]", "'False'"])
def test_an_if_that_yields_anything_but_false_runs_the_task(condition: str) -> None:
    assert run(leaf(if_=condition)).states() == {"leaf": ["COMPLETED"]}


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({"env": {"A": r"""{{ "\u0000" }}"""}}, "env.A: it yields the character U+0000"),
        ({"cmd": (r"""{{ fromJSON('"\\ud800"') }}""",)}, "cmd[0]: it yields the character U+D800"),
        ({"name": "{{ repeat('x', 300) }}"}, "name: it yields a name of more than 256 characters"),
    ],
)
def test_what_no_datastore_holds_fails_the_task(values: dict[str, Any], error: str) -> None:
    assert (run(leaf(**values)).job.error or "").startswith(error)


HEAVY = "{{ len(map(1..150000, # * 2)) }}"


def test_the_expressions_of_a_task_may_take_so_many_steps_in_all() -> None:
    failed = run(leaf(cmd=(HEAVY,) * 40))
    assert "the expression takes too many steps" in (failed.job.error or "")


def test_children_with_heavy_expressions_get_their_turn_in_several_plans(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(planner, "MAX_EXPRESSION_STEPS", planner.MAX_EXPRESSION_STEPS // 100)
    heavy = each("sequence(0, 30)", leaf(cmd=("{{ len(map(1..1500, # * 2)) }}",)))
    plan = transitions.submit(job_definition(heavy), now=0.0, random=RANDOM)
    assert 0 < len(plan.send) < 30
    assert len(plan.partly_started) == 1
    assert len(Simulation(job_definition(heavy)).due()) == 30


def test_a_secret_that_does_not_fit_is_not_quoted() -> None:
    failed = run(leaf(timeout="{{ secrets.key }}"), secrets={"key": "hunter2 " * 20})
    assert failed.job.error == "timeout: a secret does not fit here"


def test_a_job_of_which_all_is_skipped_is_complete() -> None:
    done = run(leaf(if_="false"), parallel(leaf(), if_="false"))
    assert (done.job.state, done.job.progress) == (JobState.COMPLETED, 100.0)


@pytest.mark.covers(
    "Defaults.retry",
    "Defaults.limits",
    "Defaults.timeout",
    "Defaults.queue",
    "Defaults.priority",
    "Job.defaults",
)
def test_defaults_hold_for_what_says_nothing_else() -> None:
    defaults = Defaults(retry=Retry(limit=3), limits=Limits(cpus="1"), timeout="1m", queue="q", priority=5)
    done = run(leaf("a"), parallel(leaf("b", timeout="2m", priority=0)), defaults=defaults)
    [a], [b] = done.named("a"), done.named("b")
    assert (a.definition.retry, a.definition.limits) == (Retry(limit=3), Limits(cpus="1"))
    assert (a.definition.timeout, a.queue, a.priority) == ("1m", "q", 5)
    assert (b.definition.timeout, b.queue, b.priority) == ("2m", "q", 0)
    assert done.named("parallel")[0].definition.queue is None


@pytest.mark.parametrize(
    ("given", "held"),
    [
        (Limits(memory="1g"), Limits(cpus="1", memory="1g")),
        (Limits(cpus="2"), Limits(cpus="2", memory="500m")),
        (Limits(), Limits(cpus="1", memory="500m")),
    ],
)
def test_default_limits_hold_each_by_itself(given: Limits, held: Limits) -> None:
    done = run(leaf("a", limits=given), defaults=Defaults(limits=Limits(cpus="1", memory="500m")))
    assert done.named("a")[0].definition.limits == held


@pytest.mark.covers("Job.output")
def test_an_output_that_fails_fails_the_job() -> None:
    failed = run(leaf(), output="{{ nope }}")
    assert failed.job.state is JobState.FAILED
    assert (failed.job.error or "").startswith("output: ")


def test_a_restart_after_an_output_that_failed_runs_no_task_again() -> None:
    failed = run(leaf(var="a"), output="{{ fromJSON(tasks.a).b }}", results={"leaf": "{"})
    assert failed.job.state is JobState.FAILED
    failed.restart()
    assert (failed.due(), failed.states()) == ([], {"leaf": ["COMPLETED"]})


@pytest.mark.covers("AutoDelete.after", "Job.autoDelete")
def test_a_job_that_ends_knows_when_it_is_to_be_removed() -> None:
    assert run(leaf(), auto_delete=AutoDelete(after="2s")).job.delete_at == 2.0


@pytest.mark.covers("Parallel.tasks", "Task.parallel")
def test_tasks_in_parallel_are_sent_at_once_and_the_job_goes_on_when_all_are_done() -> None:
    simulation = Simulation(job_definition(parallel(leaf("a", var="a"), leaf("b")), leaf("c")))
    assert simulation.states() == {"parallel": ["RUNNING"], "a": ["SCHEDULED"], "b": ["SCHEDULED"]}
    assert simulation.job.state is JobState.RUNNING
    simulation.run({"a": "1"})
    assert simulation.states() == {name: ["COMPLETED"] for name in ("parallel", "a", "b", "c")}
    assert simulation.job.results == {"a": "1"}


@pytest.mark.covers("Each.list", "Each.task", "Task.each")
def test_each_runs_its_task_for_every_item() -> None:
    definition = each("{{ sequence(1, 4) }}", leaf("{{ item.index }}: {{ item.value }}"))
    assert run(definition).states() == {"each": ["COMPLETED"]} | {
        f"{index}: {index + 1}": ["COMPLETED"] for index in range(3)
    }


@pytest.mark.covers("Each.var")
def test_the_item_may_have_another_name_and_be_of_any_kind() -> None:
    inner = each("outer.value.list", leaf("{{ outer.value.n }}{{ inner.value }}"), var="inner")
    done = run(each('[{"n": "a", "list": [1, 2]}, {"n": "b", "list": [3]}]', inner, var="outer"))
    assert set(done.states()) == {"each", "a1", "a2", "b3"}


def test_each_over_nothing_is_done_at_once() -> None:
    assert run(each("[]", leaf()), leaf("next")).states() == {"each": ["COMPLETED"], "next": ["COMPLETED"]}


def test_each_over_what_is_no_list_fails() -> None:
    failed = run(each("'abc'", leaf()))
    assert failed.job.error == "each.list: it is no list, but of the type string"


@pytest.mark.covers("Each.concurrency")
def test_at_most_so_many_items_are_at_work() -> None:
    simulation = Simulation(job_definition(each("sequence(0, 5)", leaf(), concurrency=2)))
    order = []
    while due := simulation.due():
        assert len(due) <= 2
        simulation.claim(due[-1])
        order.append(due[-1].index)
        simulation.finish(simulation.tasks[due[-1].id])
    assert sorted(order) == [0, 1, 2, 3, 4]
    assert simulation.job.state is JobState.COMPLETED


def test_a_long_list_gets_its_turn_in_parts() -> None:
    number = 2 * MAX_STARTED_CHILDREN + 10
    simulation = Simulation(job_definition(each(f"sequence(0, {number})", leaf())))
    assert len(simulation.due()) == number
    assert [task.index for task in simulation.due()] == list(range(number))


def test_a_long_list_of_which_all_is_skipped_is_done() -> None:
    number = 2 * MAX_STARTED_CHILDREN + 10
    everything = each(f"sequence(0, {number})", leaf(if_="false"))
    plan = transitions.submit(job_definition(everything), now=0.0, random=RANDOM)
    assert len(plan.partly_started) == 1, "one message is enough"
    done = run(each(f"sequence(0, {number})", leaf(if_="false"), concurrency=3))
    assert (done.job.state, len(done.named("leaf"))) == (JobState.COMPLETED, number)


def test_a_child_that_fails_stops_its_siblings_and_fails_what_it_is_part_of() -> None:
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


def test_a_child_that_fails_is_tried_again_where_it_may_be() -> None:
    simulation = Simulation(job_definition(each("[7]", leaf("{{ item.value }}", retry=Retry(limit=1)))))
    [first] = simulation.due()
    simulation.claim(first)
    simulation.fail(simulation.tasks[first.id])
    simulation.run()
    assert simulation.states() == {"each": ["COMPLETED"], "7": ["FAILED", "COMPLETED"]}


def test_a_restart_runs_a_composite_as_a_whole() -> None:
    simulation = Simulation(job_definition(leaf("first"), parallel(leaf("a"), leaf("b"))))
    simulation.claim(simulation.due()[0])
    simulation.finish(simulation.at_work()[0])
    simulation.claim(simulation.named("a")[0])
    simulation.fail(simulation.at_work()[0])
    simulation.restart()
    simulation.run()
    assert simulation.job.state is JobState.COMPLETED
    assert simulation.states() == {
        "first": ["COMPLETED"],
        "parallel": ["FAILED", "COMPLETED"],
        "a": ["FAILED", "COMPLETED"],
        "b": ["STOPPED", "COMPLETED"],
    }


@pytest.mark.covers(
    "Subjob.tasks", "Subjob.inputs", "Subjob.secrets", "Subjob.output", "Task.subjob", "Job.inputs"
)
def test_a_subjob_sees_what_it_is_given_and_its_output_is_the_result() -> None:
    inner = leaf("in {{ inputs.x }}", var="r", env={"S": "{{ secrets.s }}"})
    definition = subjob(inner, var="sub", inputs={"x": "{{ inputs.y }}"}, secrets={"s": "{{ secrets.t }}"})
    done = run(
        definition,
        leaf("got {{ tasks.sub }}"),
        inputs={"y": "1"},
        secrets={"t": "hidden"},
        results={"in 1": "r"},
    )
    assert set(done.states()) == {"subjob", "in 1", "got "}
    definition = subjob(
        inner, var="sub", inputs={"x": "{{ inputs.y }}"}, output="<{{ tasks.r }}>", secrets={"s": ""}
    )
    done = run(definition, leaf("got {{ tasks.sub }}"), inputs={"y": "1"}, results={"in 1": "r"})
    assert set(done.states()) == {"subjob", "in 1", "got <r>"}


@pytest.mark.covers("Subjob.description", "Subjob.webhooks", "Subjob.autoDelete")
def test_a_subjob_has_a_description_webhooks_and_an_end_of_its_own() -> None:
    hook = Webhook(url="http://{{ inputs.host }}/", headers={"A": "{{ inputs.host }}"})
    definition = subjob(
        leaf("a"), description="the details", webhooks=(hook,), auto_delete=AutoDelete(after="3s")
    )
    done = run(definition, inputs={"host": "example.com"})
    inner = next(job for job in done.jobs.values() if job.parent_id)
    assert inner.definition.description == "the details"
    assert inner.definition.webhooks == (Webhook(url="http://example.com/", headers={"A": "example.com"}),)
    assert (inner.delete_at, done.job.delete_at) == (3.0, None)


def test_what_a_webhook_of_a_subjob_yields_is_not_evaluated_again() -> None:
    hook = Webhook(url="http://a/{{ inputs.path }}")
    failed = run(subjob(leaf(), webhooks=(hook,)), inputs={"path": "{{ secrets.key }}"})
    assert failed.job.error == "subjob.webhooks[0].url: it yields a text with {{ in it"


def test_what_a_subjob_is_given_hides_the_secrets_of_its_parent() -> None:
    done = run(
        subjob(leaf("a"), inputs={"login": "{{ secrets.key }}"}),
        secrets={"key": "hunter2"},
        inputs={"TOKEN": "tok"},
    )
    inner = next(job for job in done.jobs.values() if job.parent_id)
    assert inner.definition.inputs == {"login": "hunter2"}
    assert secrets_of_job(inner.definition) == {"hunter2", "tok"}


def test_a_subjob_that_fails_fails_its_parent() -> None:
    simulation = Simulation(job_definition(subjob(leaf("a")), leaf("b")))
    simulation.claim(simulation.due()[0])
    simulation.fail(simulation.at_work()[0])
    assert simulation.states() == {"subjob": ["FAILED"], "a": ["FAILED"]}
    assert {job.error for job in simulation.jobs.values()} == {"e"}


def test_a_subjob_that_ends_at_once_lets_its_parent_go_on() -> None:
    done = run(subjob(leaf("a", if_="false")), leaf("b"))
    assert {job.state for job in done.jobs.values()} == {JobState.COMPLETED}
    failed = run(subjob(leaf("a", env={"A": "{{ nope }}"})), leaf("b"))
    assert {job.state for job in failed.jobs.values()} == {JobState.FAILED}


@pytest.mark.covers("Subjob.detached")
def test_nobody_waits_for_a_detached_subjob() -> None:
    simulation = Simulation(job_definition(subjob(leaf("a"), detached=True), leaf("b")))
    assert simulation.states() == {"subjob": ["COMPLETED"], "a": ["SCHEDULED"], "b": ["SCHEDULED"]}
    assert [job.parent_id for job in simulation.jobs.values()] == [None, None]


def test_cancelling_goes_down_and_up() -> None:
    down = Simulation(job_definition(parallel(subjob(subjob(leaf("a"))), leaf("b"))))
    down.cancel()
    assert {job.state for job in down.jobs.values()} == {JobState.CANCELLED}
    assert {task.state for task in down.tasks.values()} == {TaskState.CANCELLED}

    up = Simulation(job_definition(parallel(subjob(subjob(leaf("a"))), leaf("b"))))
    up.first = up.named("a")[0].job_id
    up.cancel()
    assert {job.state for job in up.jobs.values()} == {JobState.CANCELLED}


def test_a_failure_beside_a_subjob_cancels_it() -> None:
    simulation = Simulation(job_definition(parallel(subjob(leaf("a")), leaf("b"))))
    simulation.claim(simulation.named("b")[0])
    simulation.fail(simulation.at_work()[0])
    assert simulation.states() == {
        "parallel": ["FAILED"],
        "subjob": ["STOPPED"],
        "a": ["CANCELLED"],
        "b": ["FAILED"],
    }


leaves = st.builds(
    leaf,
    if_=st.sampled_from([None, None, None, "false", "nope"]),
    retry=st.sampled_from([None, Retry(limit=1)]),
)
trees = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(lambda tasks: parallel(*tasks)),
        st.builds(each, st.sampled_from(["[]", "[1, 2, 3]", "1"]), inner, concurrency=st.integers(0, 2)),
        st.lists(inner, min_size=1, max_size=2).map(lambda tasks: subjob(*tasks)),
        st.lists(inner, min_size=1, max_size=2).map(lambda tasks: subjob(*tasks, detached=True)),
    ),
    max_leaves=6,
)
events = st.tuples(
    st.sampled_from(["claim", "claim", "finish", "finish", "fail", "lose", "cancel", "restart"]),
    st.integers(0, 5),
)


@settings(max_examples=100, deadline=None)
@given(tasks=st.lists(trees, min_size=1, max_size=3), happening=st.lists(events, max_size=40))
def test_any_tree_under_any_events_makes_legal_moves_and_comes_to_an_end(
    tasks: list[TaskDefinition], happening: list[tuple[str, int]]
) -> None:
    simulation = Simulation(job_definition(*tasks))
    for event, which in happening:
        if event in ("cancel", "restart"):
            getattr(simulation, event)()
        elif candidates := simulation.due() if event == "claim" else simulation.at_work():
            getattr(simulation, event)(candidates[which % len(candidates)])
    while candidates := [*simulation.due(), *simulation.at_work()]:
        task = candidates[0]
        if task.state is not TaskState.RUNNING:
            simulation.claim(task)
        simulation.finish(simulation.tasks[task.id])

    assert all(job.state.ended for job in simulation.jobs.values())
    assert not any(task.state.active for task in simulation.tasks.values())
    for job in simulation.jobs.values():
        assert (job.state is JobState.FAILED) == (job.error is not None)
