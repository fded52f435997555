"""Tasks that start another job and wait for it."""

import pytest

from tests.domain.samples import job_definition, leaf, parallel, subjob
from tests.domain.simulated import Simulation, run_job
from tork_celery.domain.definition import AutoDelete, Webhook
from tork_celery.domain.masking import job_values
from tork_celery.domain.states import JobState, TaskState


@pytest.mark.covers(
    "Subjob.tasks", "Subjob.inputs", "Subjob.secrets", "Subjob.output", "Task.subjob", "Job.inputs"
)
def test_subjob_sees_only_its_inputs_and_secrets_and_returns_its_output() -> None:
    inner = leaf("in {{ inputs.x }}", var="r", env={"S": "{{ secrets.s }}"})
    definition = subjob(inner, var="sub", inputs={"x": "{{ inputs.y }}"}, secrets={"s": "{{ secrets.t }}"})
    done = run_job(
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
    done = run_job(definition, leaf("got {{ tasks.sub }}"), inputs={"y": "1"}, results={"in 1": "r"})
    assert set(done.states()) == {"subjob", "in 1", "got <r>"}


@pytest.mark.covers("Subjob.description", "Subjob.webhooks", "Subjob.autoDelete")
def test_subjob_has_its_own_description_webhooks_and_deletion() -> None:
    webhook = Webhook(url="http://{{ inputs.host }}/", headers={"A": "{{ inputs.host }}"})
    definition = subjob(
        leaf("a"), description="the details", webhooks=(webhook,), auto_delete=AutoDelete(after="3s")
    )
    done = run_job(definition, inputs={"host": "example.com"})
    inner = next(job for job in done.jobs.values() if job.parent_id)
    assert inner.definition.description == "the details"
    assert inner.definition.webhooks == (Webhook(url="http://example.com/", headers={"A": "example.com"}),)
    assert (inner.delete_at, done.job.delete_at) == (3.0, None)


def test_webhook_of_a_subjob_must_not_render_to_a_template() -> None:
    webhook = Webhook(url="http://a/{{ inputs.path }}")
    failed = run_job(subjob(leaf(), webhooks=(webhook,)), inputs={"path": "{{ secrets.key }}"})
    assert (
        failed.job.error == "subjob.webhooks[0].url: the rendered text contains {{, which is not allowed here"
    )


def test_subjob_hides_the_secrets_of_its_parent() -> None:
    done = run_job(
        subjob(leaf("a"), inputs={"login": "{{ secrets.key }}"}),
        secrets={"key": "hunter2"},
        inputs={"TOKEN": "tok"},
    )
    inner = next(job for job in done.jobs.values() if job.parent_id)
    assert inner.definition.inputs == {"login": "hunter2"}
    assert job_values(inner.definition) == {"hunter2", "tok"}


def test_subjob_masks_the_values_of_its_tasks_and_of_its_parents_tasks() -> None:
    done = run_job(subjob(leaf("a", env={"TOKEN": "inner"})), leaf("b", env={"PASSWORD": "outer", "A": "no"}))
    inner = next(job for job in done.jobs.values() if job.parent_id)
    assert job_values(inner.definition) == {"inner", "outer"}


def test_subjob_with_too_many_values_to_mask_fails_its_task() -> None:
    own = {f"k{number}": f"{{{{ 'x{number}' }}}}" for number in range(999)}
    failed = run_job(subjob(leaf("a"), secrets=own), secrets={"a": "one", "b": "two"})
    assert failed.states() == {"subjob": ["FAILED"]}
    assert failed.job.error == "subjob: more than 1,000 values of the job are to be masked"


def test_failed_subjob_fails_its_parent() -> None:
    simulation = Simulation(job_definition(subjob(leaf("a")), leaf("b")))
    simulation.claim(simulation.claimable()[0])
    simulation.fail(simulation.running()[0])
    assert simulation.states() == {"subjob": ["FAILED"], "a": ["FAILED"]}
    assert {job.error for job in simulation.jobs.values()} == {"e"}


def test_parent_continues_after_a_subjob_that_ends_at_once() -> None:
    done = run_job(subjob(leaf("a", if_="false")), leaf("b"))
    assert {job.state for job in done.jobs.values()} == {JobState.COMPLETED}
    failed = run_job(subjob(leaf("a", env={"A": "{{ nope }}"})), leaf("b"))
    assert {job.state for job in failed.jobs.values()} == {JobState.FAILED}


@pytest.mark.covers("Subjob.detached")
def test_detached_subjob_is_not_waited_for() -> None:
    simulation = Simulation(job_definition(subjob(leaf("a"), detached=True), leaf("b")))
    assert simulation.states() == {"subjob": ["COMPLETED"], "a": ["SCHEDULED"], "b": ["SCHEDULED"]}
    assert [job.parent_id for job in simulation.jobs.values()] == [None, None]


def test_cancel_reaches_subjobs_and_parents() -> None:
    down = Simulation(job_definition(parallel(subjob(subjob(leaf("a"))), leaf("b"))))
    down.cancel()
    assert {job.state for job in down.jobs.values()} == {JobState.CANCELLED}
    assert {task.state for task in down.tasks.values()} == {TaskState.CANCELLED}

    up = Simulation(job_definition(parallel(subjob(subjob(leaf("a"))), leaf("b"))))
    up.job_id = up.named("a")[0].job_id
    up.cancel()
    assert {job.state for job in up.jobs.values()} == {JobState.CANCELLED}


def test_failure_of_a_sibling_cancels_a_subjob() -> None:
    simulation = Simulation(job_definition(parallel(subjob(leaf("a")), leaf("b"))))
    simulation.claim(simulation.named("b")[0])
    simulation.fail(simulation.running()[0])
    assert simulation.states() == {
        "parallel": ["FAILED"],
        "subjob": ["STOPPED"],
        "a": ["CANCELLED"],
        "b": ["FAILED"],
    }
