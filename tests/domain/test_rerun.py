"""The definition of a job that runs again, with other inputs, secrets or file."""

from dataclasses import replace

import pytest

from tests.domain.samples import job_definition, task_definition
from tork_celery.domain import rerun
from tork_celery.domain.definition import JobDefinition, Schedule, Wait
from tork_celery.domain.errors import Forbidden, InvalidInput
from tork_celery.domain.masking import conceal
from tork_celery.domain.rerun import Rerun

TASK = task_definition(env={"API_TOKEN": "t0k3n-of-old", "MODE": "fast", "URL": "https://s3cr3t-word@host"})
STORED = conceal(
    job_definition(TASK, inputs={"a": "1", "b": "2"}, secrets={"key": "s3cr3t-word", "other": "0th3r-word"})
)
SHOWN = replace(
    STORED,
    tasks=(replace(TASK, env={"API_TOKEN": "[REDACTED]", "MODE": "fast", "URL": "https://[REDACTED]@host"}),),
    secrets={"key": "[REDACTED]", "other": "[REDACTED]"},
    hidden=(),
)


def rerun_with(
    change: Rerun | None = None, file: JobDefinition | None = None, *, keeps_secrets: bool = True
) -> JobDefinition:
    return rerun.definition(STORED, change or Rerun(), file, keeps_secrets=keeps_secrets)


@pytest.mark.parametrize("keeps_secrets", [True, False])
def test_unchanged_job_keeps_its_definition(*, keeps_secrets: bool) -> None:
    assert rerun_with(keeps_secrets=keeps_secrets) == STORED
    assert rerun_with(file=SHOWN, keeps_secrets=keeps_secrets) == STORED


def test_inputs_and_secrets_replace_stored_ones_by_key() -> None:
    new = rerun_with(Rerun(inputs={"b": "3", "c": "4"}, secrets={"key": "new"}), keeps_secrets=False)

    assert new.inputs == {"a": "1", "b": "3", "c": "4"}
    assert new.secrets == {"key": "new", "other": "0th3r-word"}


def test_redacted_text_stands_for_the_stored_value_of_its_place() -> None:
    [task] = SHOWN.tasks
    new = rerun_with(file=replace(SHOWN, tasks=(replace(task, name="new"),)))

    assert new.tasks == (replace(TASK, name="new"),)
    assert new.secrets == STORED.secrets


def test_stored_secrets_are_carried_over_to_a_changed_file() -> None:
    new = rerun_with(file=job_definition(task_definition(), secrets={"key": "new"}))

    assert new.secrets == {"key": "new", "other": "0th3r-word"}


def test_others_get_none_of_the_secrets_with_a_changed_file() -> None:
    new = rerun_with(file=job_definition(task_definition(), secrets={"key": "new"}), keeps_secrets=False)
    assert new.secrets == {"key": "new"}

    with pytest.raises(Forbidden, match=r"tasks\[0\]\.env\.API_TOKEN: only the creator"):
        rerun_with(file=replace(SHOWN, name="changed"), keeps_secrets=False)


@pytest.mark.parametrize(
    ("change", "file", "path"),
    [
        (None, job_definition(task_definition(env={"MODE": "[REDACTED]"})), "tasks[0].env.MODE"),
        (None, job_definition(task_definition(env={"NEW_TOKEN": "[REDACTED]"})), "tasks[0].env.NEW_TOKEN"),
        (None, job_definition(task_definition(), TASK, secrets={"x": "[REDACTED]"}), "secrets.x"),
        (Rerun(inputs={"a": "[REDACTED]"}), None, "inputs.a"),
        (Rerun(secrets={"x": "[REDACTED]"}), None, "secrets.x"),
    ],
)
def test_redacted_text_in_another_place_is_rejected(
    change: Rerun | None, file: JobDefinition | None, path: str
) -> None:
    with pytest.raises(InvalidInput) as rejected:
        rerun_with(change, file)

    assert [fault.path for fault in rejected.value.faults] == [path]


def test_new_run_has_neither_wait_nor_schedule() -> None:
    stored = replace(STORED, wait=Wait(timeout="1s"), schedule=Schedule(cron="@daily", id="s"))

    assert rerun.definition(stored, Rerun(), None, keeps_secrets=True) == STORED


def test_too_many_values_to_mask_are_rejected() -> None:
    many = {f"key{number}": f"value {number}" for number in range(1001)}

    with pytest.raises(InvalidInput, match="secrets"):
        rerun_with(Rerun(secrets=many))
