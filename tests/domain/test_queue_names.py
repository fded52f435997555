"""Users name queues, but not those of the system."""

import pytest

from tork_celery.domain.queue_names import LONGEST_NAME, check, of_node


@pytest.mark.parametrize(
    "name", ["default", "a-b.c_d", "controls", "node", "nodes.x", "A1", "x" * LONGEST_NAME]
)
def test_a_name_that_a_queue_may_have(name: str) -> None:
    check(name)


@pytest.mark.parametrize("name", ["", "a b", "a,b", "a:b", "\u00e4", "a\n", "node.x@y"])
def test_a_name_has_letters_digits_and_a_few_signs(name: str) -> None:
    with pytest.raises(ValueError, match="may hold letters, digits"):
        check(name)


@pytest.mark.parametrize(
    "name", ["control", "node.x", "amq.x", "unacked", "_kombu.x", "celeryev.x", "x.pidbox"]
)
def test_the_systems_own_queues_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="for itself; choose another name"):
        check(name)


def test_a_long_name_is_refused() -> None:
    with pytest.raises(ValueError, match="longer than"):
        check("x" * (LONGEST_NAME + 1))


def test_a_node_has_a_queue_that_no_user_can_name() -> None:
    assert of_node("default@here") == "node.default@here"
    with pytest.raises(ValueError, match="may hold"):
        check(of_node("default@here"))
