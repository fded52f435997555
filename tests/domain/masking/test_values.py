"""Which values of a job and of a task are masked, and how many there may be."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from tests.domain.samples import each, job_definition, leaf, parallel, task_definition
from tork_celery.domain.definition import (
    JobDefinition,
    Registry,
    Sidecar,
    StepDefinition,
    Subjob,
    TaskDefinition,
    Webhook,
)
from tork_celery.domain.masking import (
    conceal,
    excess,
    hidden_values,
    job_values,
    located_values,
    rendered_values,
    task_values,
)
from tork_celery.domain.masking.values import is_secret


@pytest.mark.parametrize(
    "key", ["MY_SECRET", "password", "Token", "AWS_ACCESS_KEY_ID", "x_access_key", "Authorization"]
)
def test_key_says_that_its_value_is_secret(key: str) -> None:
    assert is_secret(key)
    assert not is_secret("KEY")


def test_values_of_a_job_are_secret_by_their_place_or_key() -> None:
    job = job_definition(secrets={"a": "one"}, inputs={"api_token": "two", "name": "three"}, hidden=("four",))
    assert job_values(job) == {"one", "two", "four"}


def test_values_of_a_task_are_those_of_its_steps_and_sidecars() -> None:
    step = StepDefinition(
        env={"PASSWORD": "four", "A": "five"}, registry=Registry(username="u", password="p")
    )
    task = replace(
        task_definition(env={"TOKEN": "{{ rendered }}"}),
        pre=(step,),
        sidecars=(Sidecar(name="s", env={"SECRET": "six"}),),
    )
    assert task_values(task) == {"four", "p", "{{ rendered }}", "six"}


def test_templates_of_children_are_no_values() -> None:
    """What they yield is masked in the children."""
    task = parallel(leaf(env={"TOKEN": "literal", "PASSWORD": "{{ secrets.p }}"}))
    assert task_values(task) == {"literal"}


def definition_with_values_everywhere() -> JobDefinition:
    registry = Registry(username="u", password="in the registry")
    subjob = Subjob(
        name="inner",
        tasks=(leaf(env={"PASSWORD": "in a subjob's task"}),),
        secrets={"s": "in a subjob's secrets", "t": "{{ secrets.s }}"},
        inputs={"token": "in a subjob's inputs", "name": "no"},
        webhooks=(Webhook(url="http://x", headers={"X-Token": "in a subjob's header"}),),
    )
    return job_definition(
        TaskDefinition(
            name="a",
            env={"TOKEN": "in env", "PASSWORD": "{{ secrets.s }}", "A": "no"},
            registry=registry,
            pre=(StepDefinition(env={"SECRET": "in a step"}),),
            post=(StepDefinition(env={"SECRET": "in a post step"}),),
            sidecars=(Sidecar(name="db", env={"DB_PASSWORD": "in a sidecar"}),),
        ),
        each("{{ [1] }}", parallel(leaf(env={"SECRET": "in a child"}))),
        TaskDefinition(name="sub", subjob=subjob),
        secrets={"s": "in secrets"},
        inputs={"SECRET": "in inputs", "a": "no"},
        webhooks=(Webhook(url="http://x", headers={"Authorization": "in a header", "X-Id": "no"}),),
    )


def test_all_places_of_a_job_file_are_known() -> None:
    places = {value: path for path, value in located_values(definition_with_values_everywhere())}

    assert places == {
        "in secrets": ("secrets", "s"),
        "in inputs": ("inputs", "SECRET"),
        "in a header": ("webhooks", 0, "headers", "Authorization"),
        "in env": ("tasks", 0, "env", "TOKEN"),
        "in the registry": ("tasks", 0, "registry", "password"),
        "in a step": ("tasks", 0, "pre", 0, "env", "SECRET"),
        "in a post step": ("tasks", 0, "post", 0, "env", "SECRET"),
        "in a sidecar": ("tasks", 0, "sidecars", 0, "env", "DB_PASSWORD"),
        "in a child": ("tasks", 1, "each", "task", "parallel", "tasks", 0, "env", "SECRET"),
        "in a subjob's secrets": ("tasks", 2, "subjob", "secrets", "s"),
        "in a subjob's inputs": ("tasks", 2, "subjob", "inputs", "token"),
        "in a subjob's header": ("tasks", 2, "subjob", "webhooks", 0, "headers", "X-Token"),
        "in a subjob's task": ("tasks", 2, "subjob", "tasks", 0, "env", "PASSWORD"),
    }


def test_new_job_masks_the_values_of_its_tasks_everywhere() -> None:
    definition = definition_with_values_everywhere()
    assert job_values(conceal(definition)) == {value for _, value in located_values(definition)}


def test_hidden_values_are_kept_and_completed() -> None:
    definition = replace(definition_with_values_everywhere(), hidden=("of a parent", "x"))
    assert {"of a parent", "in env"} <= set(hidden_values(definition))
    assert not {"x", "in secrets"} & set(hidden_values(definition))


def test_name_of_a_new_job_is_masked() -> None:
    concealed = conceal(job_definition(name="deploy hunter2", secrets={"s": "hunter2"}))
    assert concealed.name == "deploy [REDACTED]"
    longest = conceal(job_definition(name="abc" * 85, secrets={"s": "a", "t": "abc", "u": "bca"}))
    assert len(longest.name) <= 256


def secrets(values: Sequence[str]) -> JobDefinition:
    return job_definition(secrets={f"k{number}": value for number, value in enumerate(values)})


@pytest.mark.parametrize(
    ("definition", "place"),
    [
        (secrets([str(number) for number in range(1000)]), None),
        (secrets([str(number) for number in range(1001)]), ("secrets", "k1000")),
        (secrets(["same"] * 2000), None),
        (secrets(["x" * 2**20]), None),
        (secrets(["x" * 2**20, "y"]), ("secrets", "k1")),
        (secrets(["\N{LATIN SMALL LETTER E WITH ACUTE}" * (2**19 + 1)]), ("secrets", "k0")),
    ],
)
def test_number_and_size_of_values_are_limited(
    definition: JobDefinition, place: tuple[str, ...] | None
) -> None:
    fault = excess(located_values(definition))
    assert (fault and fault[0]) == place


def test_rendered_values_are_limited() -> None:
    task = leaf(env={f"TOKEN_{number}": str(number) for number in range(1001)})
    assert excess(rendered_values(task)) == (
        ("env", "TOKEN_1000"),
        "more than 1,000 values of the job are to be masked",
    )
