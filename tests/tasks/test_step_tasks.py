"""What becomes of the chain follows from the worker's verdict."""

from types import SimpleNamespace
from typing import Any, cast

import pytest
from celery.exceptions import Ignore, Reject

from tork_celery.tasks.step_tasks import settle
from tork_celery.worker.worker import ChainAction, Worker

WORKER = cast(Worker, SimpleNamespace(node="default@here"))


def signature(task: str, queue: str = "default") -> dict[str, Any]:
    return {"task": task, "options": {"queue": queue}}


def the_rest() -> list[Any]:
    """What is left of a chain, as Celery has it: last first."""
    return [signature("tork.advance", "control"), signature("tork.post"), signature("tork.main")]


def queues(rest: list[Any]) -> list[tuple[str, str]]:
    return [(found["task"], found["options"]["queue"]) for found in rest]


def test_the_next_steps_stay_on_the_node() -> None:
    rest = the_rest()

    settle(rest, ChainAction.NEXT, WORKER)

    assert queues(rest) == [
        ("tork.advance", "control"),
        ("tork.post", "node.default@here"),
        ("tork.main", "node.default@here"),
    ]


def test_after_a_failure_only_the_job_is_advanced() -> None:
    rest = the_rest()

    settle(rest, ChainAction.ADVANCE, WORKER)

    assert queues(rest) == [("tork.advance", "control")]


@pytest.mark.parametrize("verdict", [ChainAction.NEXT, ChainAction.ADVANCE])
def test_after_the_last_step_the_job_is_advanced(verdict: ChainAction) -> None:
    rest = the_rest()[:1]

    settle(rest, verdict, WORKER)

    assert queues(rest) == [("tork.advance", "control")]


def test_a_step_that_somebody_else_has_is_followed_by_nothing() -> None:
    with pytest.raises(Ignore):
        settle(the_rest(), ChainAction.IGNORE, WORKER)


def test_a_worker_that_stops_leaves_the_message_to_others() -> None:
    with pytest.raises(Reject) as rejected:
        settle(the_rest(), ChainAction.REQUEUE, WORKER)

    assert rejected.value.requeue
