"""Search queries: words and filters."""

import pytest

from tork_celery.domain import search
from tork_celery.domain.errors import InvalidInput
from tork_celery.domain.search import EVERYTHING, Search
from tork_celery.domain.states import JobState


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", EVERYTHING),
        ("  ", EVERYTHING),
        ("video night", Search(words=("video", "night"))),
        ("a a b", Search(words=("a", "b"))),
        ("foo-bar/baz.mp4 x_y", Search(words=("foo", "bar", "baz", "mp4", "x", "y"))),
        ("größe 東京", Search(words=("größe", "東京"))),
        ('name:x" OR *', Search(words=("name", "x", "OR"))),
        ("a\0b", Search(words=("a", "b"))),
        ("tag:a\0b", Search(tags=("a",), words=("b",))),
        ("tag:x", Search(tags=("x",))),
        ("tags:x,y tag:z", Search(tags=("x", "y", "z"))),
        ('tag:"two words" one', Search(tags=("two words",), words=("one",))),
        ('"two words"', Search(words=("two", "words"))),
        ("status:failed status:RUNNING", Search(states=(JobState.FAILED, JobState.RUNNING))),
        ("tag:", Search(words=("tag",))),
        ("!!!", Search(impossible=True)),
    ],
)
def test_query_is_parsed(query: str, expected: Search) -> None:
    assert search.parse(query) == expected


def test_unknown_state_is_rejected() -> None:
    with pytest.raises(
        InvalidInput, match=r"q: status: 'gone' is not a state of a job; the states are PENDING, "
    ):
        search.parse("status:gone")


def test_long_query_is_rejected() -> None:
    with pytest.raises(InvalidInput, match="q: longer than 1000 characters"):
        search.parse("x" * 1001)
