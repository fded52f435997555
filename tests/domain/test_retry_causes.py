"""Which failures are retried, and with how much memory."""

from dataclasses import replace
from typing import Any

import pytest

from tests.domain.samples import new_id, submission, task_definition
from tork_celery.domain import retry
from tork_celery.domain.definition import Limits, MemoryRetry, Retry
from tork_celery.domain.model import Task
from tork_celery.domain.states import FailureCause

OOM: dict[str, Any] = {"exit_code": 137, "failure_cause": FailureCause.OUT_OF_MEMORY}
TIMEOUT: dict[str, Any] = {"failure_cause": FailureCause.TIMEOUT}
LOST: dict[str, Any] = {}
MEMORY = MemoryRetry(factor=2, max="1g")


def exit_code(code: int) -> dict[str, Any]:
    return {"exit_code": code}


def next_attempt(failure: dict[str, Any], *, limit: str | None = None, **causes: Any) -> Task | None:
    definition = task_definition(retry=Retry(limit=3, **causes), limits=Limits(memory=limit))
    task = replace(submission(definition).added[0], **failure)
    return retry.next_attempt(task, id_=new_id(), now=1.0)


@pytest.mark.covers("Retry.exitCodes", "Retry.timeouts")
@pytest.mark.parametrize(
    ("causes", "retried", "not_retried"),
    [
        ({}, [exit_code(1), exit_code(137), OOM, TIMEOUT, LOST], []),
        ({"timeouts": False}, [exit_code(1), OOM, TIMEOUT, LOST], []),
        ({"exit_codes": (3, 137)}, [exit_code(3), exit_code(137), LOST], [exit_code(1), OOM, TIMEOUT]),
        ({"memory": MEMORY}, [OOM, LOST], [exit_code(1), exit_code(137), TIMEOUT]),
        ({"timeouts": True}, [TIMEOUT, LOST], [exit_code(1), OOM]),
        (
            {"timeouts": True, "memory": MEMORY, "exit_codes": (3,)},
            [TIMEOUT, OOM, exit_code(3)],
            [exit_code(4)],
        ),
    ],
)
def test_failure_is_retried_by_its_cause(
    causes: dict[str, Any], retried: list[dict[str, Any]], not_retried: list[dict[str, Any]]
) -> None:
    assert all(next_attempt(failure, **causes) for failure in retried)
    assert not any(next_attempt(failure, **causes) for failure in not_retried)


@pytest.mark.covers("Retry.memory", "MemoryRetry.factor", "MemoryRetry.max")
@pytest.mark.parametrize(
    ("limit", "rule", "expected"),
    [
        ("100m", MemoryRetry(factor=2), 200 * 2**20),
        ("100m", MemoryRetry(factor=1.5), 150 * 2**20),
        ("600m", MEMORY, 2**30),
        ("1g", MEMORY, 2**30),
        ("2g", MEMORY, 2**31),
    ],
)
def test_next_attempt_has_more_memory(limit: str, rule: MemoryRetry, expected: int) -> None:
    attempt = next_attempt(OOM, limit=limit, memory=rule)

    assert attempt is not None
    assert attempt.definition.limits == Limits(memory=str(expected))


def test_other_failures_keep_the_memory() -> None:
    attempt = next_attempt(LOST, limit="100m")

    assert attempt is not None
    assert attempt.definition.limits == Limits(memory="100m")


def test_memory_grows_with_each_attempt() -> None:
    definition = task_definition(
        retry=Retry(limit=3, memory=MemoryRetry(factor=2)), limits=Limits(memory="10m")
    )
    task: Task | None = submission(definition).added[0]
    amounts = []
    while task is not None:
        assert task.definition.limits is not None
        amounts.append(task.definition.limits.memory)
        task = retry.next_attempt(replace(task, **OOM), id_=new_id(), now=1.0)

    assert amounts == ["10m", *(str(10 * 2**20 * factor) for factor in (2, 4, 8))]
