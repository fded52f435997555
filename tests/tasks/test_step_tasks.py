"""The worker's action decides on the rest of the chain."""

from typing import Any

import pytest
from celery.exceptions import Ignore, Reject

from tork_celery.tasks.step_tasks import apply_to_chain
from tork_celery.worker.worker import ChainAction

NODE = "default@here"


def signature(task: str, queue: str = "default") -> dict[str, Any]:
    return {"task": task, "options": {"queue": queue}}


def rest_of_chain() -> list[Any]:
    """Return the rest of a chain as Celery stores it: the last signature first."""
    return [signature("tork.advance", "control"), signature("tork.post"), signature("tork.main")]


def queues(rest: list[Any]) -> list[tuple[str, str]]:
    return [(signature["task"], signature["options"]["queue"]) for signature in rest]


def test_next_steps_stay_on_the_node() -> None:
    rest = rest_of_chain()

    apply_to_chain(rest, ChainAction.NEXT, node=NODE)

    assert queues(rest) == [
        ("tork.advance", "control"),
        ("tork.post", "node.default@here"),
        ("tork.main", "node.default@here"),
    ]


def test_only_advance_follows_a_failure() -> None:
    rest = rest_of_chain()

    apply_to_chain(rest, ChainAction.ADVANCE, node=NODE)

    assert queues(rest) == [("tork.advance", "control")]


@pytest.mark.parametrize("action", [ChainAction.NEXT, ChainAction.ADVANCE])
def test_advance_follows_the_last_step(action: ChainAction) -> None:
    rest = rest_of_chain()[:1]

    apply_to_chain(rest, action, node=NODE)

    assert queues(rest) == [("tork.advance", "control")]


def test_nothing_follows_a_step_of_another_node() -> None:
    with pytest.raises(Ignore):
        apply_to_chain(rest_of_chain(), ChainAction.IGNORE, node=NODE)


def test_stopping_worker_requeues_the_message() -> None:
    with pytest.raises(Reject) as rejected:
        apply_to_chain(rest_of_chain(), ChainAction.REQUEUE, node=NODE)

    assert rejected.value.requeue
