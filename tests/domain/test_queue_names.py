"""Names of queues that users may choose."""

import pytest

from tork_celery.domain.queue_names import LONGEST_NAME, check, of_node


@pytest.mark.parametrize(
    "name", ["default", "a-b.c_d", "controls", "node", "nodes.x", "A1", "x" * LONGEST_NAME]
)
def test_valid_queue_name(name: str) -> None:
    check(name)


@pytest.mark.parametrize("name", ["", "a b", "a,b", "a:b", "\u00e4", "a\n", "node.x@y"])
def test_name_with_other_characters_is_rejected(name: str) -> None:
    with pytest.raises(ValueError, match="may hold letters, digits"):
        check(name)


@pytest.mark.parametrize(
    "name", ["control", "node.x", "amq.x", "unacked", "_kombu.x", "celeryev.x", "x.pidbox"]
)
def test_name_of_a_system_queue_is_rejected(name: str) -> None:
    with pytest.raises(ValueError, match="for itself; choose another name"):
        check(name)


def test_long_name_is_rejected() -> None:
    with pytest.raises(ValueError, match="longer than"):
        check("x" * (LONGEST_NAME + 1))


def test_users_cannot_name_the_queue_of_a_node() -> None:
    assert of_node("default@here") == "node.default@here"
    with pytest.raises(ValueError, match="may hold"):
        check(of_node("default@here"))
