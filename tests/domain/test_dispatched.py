"""What expressions add to a job is bounded: tasks, text and queues, with those of its subjobs."""

import pytest

from tests.domain.samples import RANDOM, each, job_definition, leaf, parallel, subjob
from tests.domain.simulated import Simulation, run_job
from tork_celery.domain import dispatched, plan_limits, transitions
from tork_celery.domain.definition import JobDefinition, TaskDefinition, Webhook
from tork_celery.domain.plan import Plan
from tork_celery.domain.states import JobState

LIMIT = 50


@pytest.fixture
def few_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatched, "MAX_TASKS", LIMIT)


def submit(definition: JobDefinition) -> Plan:
    return transitions.submit(definition, now=0.0, random=RANDOM)


def test_small_file_that_would_become_a_large_list_fails() -> None:
    """A list that has one text many times is small in memory."""
    poison = each("let s = repeat('x', 8000); map(1..100000, s)", leaf())

    plan = submit(job_definition(poison))

    assert plan.job.error == "each.list: the task would have more than 16,777,216 characters"
    assert [task.definition.name for task in plan.added] == ["each"]
    assert plan.added_items == ()


def test_task_whose_texts_are_too_large_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tork_celery.domain.evaluation.MAX_TASK_CHARS", 1_000)
    text = "{{ repeat('x', 300) }}"
    assert run_job(leaf(env={"A": text, "B": text, "C": text})).job.state is JobState.COMPLETED

    failed = run_job(leaf(env={"A": text, "B": text}, cmd=(text, text)))

    assert failed.job.error == "env.B: the task would have more than 1,000 characters"


@pytest.mark.usefixtures("few_tasks")
@pytest.mark.parametrize(
    "composite",
    [
        pytest.param(each(f"1..{LIMIT + 1}", leaf()), id="one list"),
        pytest.param(each("1..8", each("1..8", leaf())), id="lists in a list"),
        pytest.param(each("1..11", parallel(*[leaf()] * 4)), id="parallel tasks in a list"),
        pytest.param(each("1..3", subjob(each("1..20", leaf()))), id="lists in subjobs"),
        pytest.param(each("1..11", subjob(*[leaf(if_="false")] * 4)), id="tasks of subjobs"),
        pytest.param(each("1..3", subjob(each("1..20", leaf()), detached=True)), id="detached subjobs"),
    ],
)
def test_job_that_would_start_too_many_tasks_fails(composite: TaskDefinition) -> None:
    failed = Simulation(job_definition(composite))

    errors = [job.error or "" for job in failed.jobs.values() if job.state is JobState.FAILED]
    assert any(error.startswith(f"the job would start more than {LIMIT} tasks") for error in errors)
    assert len(failed.tasks) <= LIMIT + 1


@pytest.mark.usefixtures("few_tasks")
def test_job_may_start_as_many_tasks_as_the_limit() -> None:
    assert run_job(each(f"1..{LIMIT}", leaf())).job.state is JobState.COMPLETED


@pytest.mark.usefixtures("few_tasks")
def test_restarted_job_may_start_as_many_tasks_again() -> None:
    job = Simulation(job_definition(each(f"1..{LIMIT}", leaf())))
    for _ in range(3):
        job.cancel()
        job.restart()
        assert len(job.claimable()) == LIMIT


@pytest.mark.parametrize(
    "composite",
    [
        pytest.param(each("1..20", leaf(run="x" * 600)), id="definition that many children have"),
        pytest.param(each("1..20", each("1..2", leaf()), var="v" * 300), id="scope that many children have"),
        pytest.param(each("1..20", leaf(cmd=("{{ repeat('x', 600) }}",))), id="text of each child"),
        pytest.param(each("1..20", subjob(leaf(run="x" * 600))), id="definition of subjobs"),
        pytest.param(
            each("1..20", subjob(leaf(), inputs={"x": "{{ repeat('x', 600) }}"})), id="inputs of subjobs"
        ),
        pytest.param(
            each("1..20", subjob(leaf(if_="false"), output="{{ repeat('x', 600) }}")), id="output of subjobs"
        ),
    ],
)
def test_job_whose_tasks_would_be_too_large_fails(
    composite: TaskDefinition, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatched, "MAX_CHARS", 10_000)
    monkeypatch.setattr(dispatched, "MIN_STORED_CHARS", 1)

    failed = Simulation(job_definition(composite))
    failed.run()

    assert failed.job.state is JobState.FAILED
    assert "would take more than 10,000 characters" in (failed.job.error or "")


def test_secrets_that_each_subjob_hides_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatched, "MAX_CHARS", 10_000)
    secrets = {"s": "x" * 600}

    failed = run_job(each("1..20", subjob(leaf(if_="false"))), secrets=secrets)

    assert "would take more than 10,000 characters" in (failed.job.error or "")


def test_number_of_queues_is_bounded() -> None:
    queues = f"1..{dispatched.MAX_QUEUES + 1}"
    in_tasks = each(queues, leaf(queue="q{{ item.value }}"))
    in_subjobs = each(queues, subjob(leaf(queue="{{ inputs.q }}"), inputs={"q": "q{{ item.value }}"}))
    for composite in (in_tasks, in_subjobs):
        failed = Simulation(job_definition(composite))
        assert failed.job.state is JobState.FAILED
        assert (failed.job.error or "").startswith("queue: the job already uses 100 queues")


def test_queue_that_a_job_uses_already_does_not_count_again() -> None:
    queues = f"1..{dispatched.MAX_QUEUES}"
    twice = parallel(*[each(queues, leaf(queue="q{{ item.value }}"))] * 2, leaf())
    assert run_job(twice, leaf(queue="q1")).job.state is JobState.COMPLETED


# ---------------------------------------------------------------- one plan


def test_children_of_a_long_list_are_added_in_batches() -> None:
    count = 2 * plan_limits.MAX_BATCH + 10
    definition = job_definition(each(f"map(1..{count}, # * 2)", leaf("{{ item.index }}:{{ item.value }}")))

    plan = submit(definition)
    assert len(plan.added) == 1 + plan_limits.MAX_BATCH
    assert [(batch.first, len(batch.items)) for batch in plan.added_items] == [
        (plan_limits.MAX_BATCH, plan_limits.MAX_BATCH),
        (2 * plan_limits.MAX_BATCH, 10),
    ]

    job = Simulation(definition)
    names = [task.definition.name for task in job.claimable()]
    assert names == [f"{index}:{2 * index + 2}" for index in range(count)]
    assert job.items == {}


def test_batch_is_added_when_a_child_of_the_one_before_completes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan_limits, "MAX_BATCH", 3)
    for composite in (
        each("1..8", leaf(), concurrency=2),
        parallel(*[leaf() for _ in range(8)]),
        each("1..3", each("[item.value, 7]", leaf("{{ item.value }} {{ inner.value }}"), var="inner")),
    ):
        assert run_job(composite).job.state is JobState.COMPLETED


def test_plan_with_much_text_starts_no_further_children(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan_limits, "MAX_ADDED_CHARS", 10_000)
    definition = job_definition(each("1..30", leaf(run="x" * 1_000)))

    plan = submit(definition)

    assert 0 < len(plan.scheduled) <= 10
    assert len(plan.partly_started) == 1
    assert len(Simulation(definition).claimable()) == 30


def test_plans_of_jobs_with_many_webhooks_are_smaller() -> None:
    """A plan adds a row for each webhook call, too."""
    hooks = (Webhook(url="http://h/", event="task.StateChange"),) * 99
    definition = job_definition(each("1..30", leaf()), webhooks=hooks)

    plan = submit(definition)

    assert len(plan.scheduled) == plan_limits.MAX_STARTED_CHILDREN // 100
    assert len(plan.added) == 1 + plan_limits.MAX_BATCH // 100
    assert len(Simulation(definition).claimable()) == 30


@pytest.mark.slow
def test_subjobs_share_the_limits_of_the_plan_that_starts_them() -> None:
    heavy = leaf(cmd=("{{ len(map(1..1500, # * 2)) }}",))
    fan_out = subjob(each("1..150", heavy))

    plan = submit(job_definition(each("1..10", fan_out)))

    started = [task for inner in plan.subjobs for task in inner.scheduled]
    assert 0 < len(started) <= plan_limits.MAX_STARTED_CHILDREN
    assert len(plan.subjobs) < 10
    assert len(Simulation(job_definition(each("1..10", fan_out))).claimable()) == 1500


def test_poison_job_takes_few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """All expressions of a plan share one budget: those of tasks, of subjobs and their output."""
    heavy = "{{ len(map(1..20000, # * 2)) }}"
    poison = subjob(leaf(if_="false"), output=heavy * 20, inputs={f"i{n}": heavy for n in range(20)})
    limits: list[plan_limits.PlanLimits] = []
    create = plan_limits.PlanLimits.__init__

    def record(self: plan_limits.PlanLimits, meter: dispatched.DispatchMeter) -> None:
        create(self, meter)
        limits.append(self)

    monkeypatch.setattr(plan_limits.PlanLimits, "__init__", record)
    plan = submit(job_definition(each("1..200", poison)))

    assert len(limits) == 1
    assert limits[0].steps.left >= 0
    assert plan.job.state is JobState.FAILED
    assert "the expression takes too many steps" in (plan.job.error or "")
