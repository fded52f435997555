"""Expressions and templates in the fields of a task."""

from typing import Any

import pytest

from tests.domain.samples import each, job_definition, leaf, parallel
from tests.domain.simulated import Simulation, run_job
from tork_celery.domain.definition import (
    Defaults,
    Limits,
    Registry,
    Retry,
    Sidecar,
    StepDefinition,
    Subjob,
    TaskDefinition,
)
from tork_celery.domain.states import JobState

HEAVY = "{{ len(map(1..150000, # * 2)) }}"


@pytest.mark.covers("Step.name", "Task.name")
def test_all_template_fields_are_rendered() -> None:
    step = StepDefinition(name="{{ inputs.a }}", image="{{ inputs.a }}", timeout="{{ inputs.t }}")
    done = run_job(
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
    rendered = task.definition
    assert (rendered.name, rendered.image, rendered.queue, rendered.var, rendered.cmd) == (
        "x",
        "x",
        "x",
        "x",
        ("x",),
    )
    assert (rendered.timeout, task.priority, rendered.limits) == ("5s", 7, Limits(cpus="7", memory="16m"))
    assert rendered.pre == rendered.post == (StepDefinition(name="x", image="x", timeout="5s"),)
    assert rendered.run == "{{ inputs.a }}", "a script is never a template"


@pytest.mark.covers("Subjob.name", "Job.secrets")
def test_secret_in_a_name_is_masked() -> None:
    done = run_job(
        leaf("a {{ secrets.s }}", pre=1, env={"A": "{{ secrets.s }}"}),
        TaskDefinition(name="{{ secrets.s }}", subjob=Subjob(name="{{ secrets.s }}", tasks=(leaf(),))),
        secrets={"s": "hunter2"},
    )
    assert set(done.states()) == {"a [REDACTED]", "[REDACTED]", "leaf"}
    assert [job.definition.name for job in done.jobs.values()] == ["a job", "[REDACTED]"]
    assert done.named("a [REDACTED]")[0].definition.env == {"A": "hunter2"}


def test_secret_in_a_name_without_template_is_masked() -> None:
    """Flower shows the names of jobs, tasks and steps."""
    done = run_job(
        leaf("a hunter2", pre=1, post=1),
        leaf("b {{ inputs.TOKEN }}"),
        name="job hunter2",
        secrets={"s": "hunter2"},
        inputs={"TOKEN": "tok-1"},
    )
    assert set(done.states()) == {"a [REDACTED]", "b [REDACTED]"}
    assert done.job.definition.name == "job [REDACTED]"
    assert {task.job_name for task in done.tasks.values()} == {"job [REDACTED]"}


def test_masked_name_is_no_longer_than_a_name_may_be() -> None:
    done = run_job(leaf("{{ repeat('abc.', 60) }}"), secrets={"s": "abc"})
    assert [len(name) for name in done.states()] == [256]


@pytest.mark.parametrize("queue", ["{{ inputs.q }}", "q-{{ secrets.s }}", "q-hunter2"])
def test_queue_with_a_secret_fails_the_task(queue: str) -> None:
    """All users see the names of queues."""
    failed = run_job(leaf(queue=queue), inputs={"q": "hunter2"}, secrets={"s": "hunter2"})
    assert failed.job.error == "queue: the name holds the value of a secret; choose another one"


def test_default_queue_may_be_like_a_secret() -> None:
    done = run_job(leaf(), leaf("b", queue="{{ inputs.q }}"), inputs={"q": "default"}, secrets={"s": "def"})
    assert done.states() == {"leaf": ["COMPLETED"], "b": ["COMPLETED"]}


def test_task_with_too_many_rendered_values_to_mask_fails() -> None:
    env = {f"TOKEN_{number}": f"{{{{ 'x{number}' }}}}" for number in range(1001)}
    failed = run_job(leaf(env=env))
    assert failed.job.error == "env.TOKEN_1000: more than 1,000 values of the job are to be masked"


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
def test_field_that_cannot_be_evaluated_fails_the_task(values: dict[str, Any], error: str) -> None:
    failed = run_job(leaf(**values), leaf("next"))
    assert failed.states() == {"leaf": ["FAILED"]}
    assert failed.job.state is JobState.FAILED
    assert (failed.job.error or "").startswith(error)


@pytest.mark.covers("Task.if")
@pytest.mark.parametrize("condition", ["false", "{{ false }}", "1 == 2", "'false'", "inputs.a == 'y'"])
def test_false_condition_skips_the_task(condition: str) -> None:
    done = run_job(leaf("one", if_=condition, var="a"), leaf("two"), inputs={"a": "x"})
    assert done.states() == {"one": ["SKIPPED"], "two": ["COMPLETED"]}
    assert done.stored_results == {}


@pytest.mark.parametrize("condition", ["0", "{{ 0.0 }}", "nil", "''", "[]", "'False'"])
def test_any_other_condition_runs_the_task(condition: str) -> None:
    assert run_job(leaf(if_=condition)).states() == {"leaf": ["COMPLETED"]}


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({"env": {"A": r"""{{ "\u0000" }}"""}}, "env.A: contains the character U+0000"),
        ({"cmd": (r"""{{ fromJSON('"\\ud800"') }}""",)}, "cmd[0]: contains the character U+D800"),
        ({"name": "{{ repeat('x', 300) }}"}, "name: the name is longer than 256 characters"),
        ({"image": "{{ repeat('x', 1025) }}"}, "image: longer than 1,024 characters"),
        ({"name": "n {{ 'a\\nb' }}"}, "name: contains the character U+000A; it must be one line"),
        ({"name": "n {{ 'a\\tb' }}"}, "name: contains the character U+0009; it must be one line"),
        ({"var": "{{ 'a\\nb' }}"}, "var: contains the character U+000A"),
        ({"image": "{{ 'a\\nb' }}"}, "image: contains the character U+000A"),
        ({"timeout": "{{ '1s\\n' }}"}, "timeout: contains the character U+000A"),
        (
            {"registry": Registry(username="{{ 'a\\nb' }}", password="p")},
            "registry.username: contains the character U+000A",
        ),
        (
            {"sidecars": (Sidecar(name="{{ 'a\\u2028b' }}"),)},
            "sidecars[0].name: contains the character U+2028",
        ),
        (
            {"sidecars": (Sidecar(name="{{ repeat('x', 257) }}"),)},
            "sidecars[0].name: the name is longer than 256 characters",
        ),
    ],
)
def test_value_that_cannot_be_stored_fails_the_task(values: dict[str, Any], error: str) -> None:
    assert (run_job(leaf(**values)).job.error or "").startswith(error)


@pytest.mark.parametrize(
    ("name", "error"), [("{{ 'a\\nb' }}", "U+000A"), ("{{ repeat('x', 257) }}", "longer")]
)
def test_name_of_a_subjob_that_does_not_fit_fails_the_task(name: str, error: str) -> None:
    failed = run_job(TaskDefinition(name="sub", subjob=Subjob(name=name, tasks=(leaf(),))))
    assert failed.states() == {"sub": ["FAILED"]}
    assert (failed.job.error or "").startswith("subjob.name: ")
    assert error in (failed.job.error or "")


def test_lines_are_kept_where_a_job_file_allows_them() -> None:
    text = "{{ 'a\\nb' }}"
    done = run_job(leaf(cmd=(text,), env={"A": text}), output=text)
    [task] = done.named("leaf")
    assert (task.definition.cmd, task.definition.env, done.job.result) == (("a\nb",), {"A": "a\nb"}, "a\nb")


def test_expressions_of_a_task_share_a_budget_of_steps() -> None:
    failed = run_job(leaf(cmd=(HEAVY,) * 40))
    assert "the expression takes too many steps" in (failed.job.error or "")


def test_now_is_the_time_of_the_plan() -> None:
    simulation = Simulation(job_definition(leaf("{{ now().Unix() }}"), leaf("{{ now() }}")), now=5.25)
    assert set(simulation.states()) == {"5"}
    simulation.now = 7.5
    simulation.run()
    assert set(simulation.states()) == {"5", "1970-01-01 00:00:07.5 +0000 UTC"}


def test_random_numbers_come_from_the_random_source() -> None:
    assert set(run_job(leaf("{{ randomInt(7) }}")).states()) == {"6"}, "the fake source returns the highest"


def test_error_does_not_quote_a_secret() -> None:
    failed = run_job(leaf(timeout="{{ secrets.key }}"), secrets={"key": "hunter2 " * 20})
    assert failed.job.error == "timeout: the value of a secret is not valid here"


@pytest.mark.covers(
    "Defaults.retry",
    "Defaults.limits",
    "Defaults.timeout",
    "Defaults.queue",
    "Defaults.priority",
    "Job.defaults",
)
def test_defaults_apply_to_fields_that_a_task_omits() -> None:
    defaults = Defaults(retry=Retry(limit=3), limits=Limits(cpus="1"), timeout="1m", queue="q", priority=5)
    done = run_job(leaf("a"), parallel(leaf("b", timeout="2m", priority=0)), defaults=defaults)
    [a], [b] = done.named("a"), done.named("b")
    assert (a.definition.retry, a.definition.limits) == (Retry(limit=3), Limits(cpus="1"))
    assert (a.definition.timeout, a.queue, a.priority) == ("1m", "q", 5)
    assert (b.definition.timeout, b.queue, b.priority) == ("2m", "q", 0)
    assert done.named("parallel")[0].definition.queue is None


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (Limits(memory="1g"), Limits(cpus="1", memory="1g")),
        (Limits(cpus="2"), Limits(cpus="2", memory="500m")),
        (Limits(), Limits(cpus="1", memory="500m")),
    ],
)
def test_each_limit_has_its_own_default(given: Limits, expected: Limits) -> None:
    done = run_job(leaf("a", limits=given), defaults=Defaults(limits=Limits(cpus="1", memory="500m")))
    assert done.named("a")[0].definition.limits == expected


def test_each_over_a_value_that_is_no_list_fails() -> None:
    failed = run_job(each("'abc'", leaf()))
    assert failed.job.error == "each.list: must be a list; its type is string"
