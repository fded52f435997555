"""Masking of secrets in documents, texts and streams."""

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.domain.samples import job_definition, task_definition
from tork_celery.domain.definition import Registry
from tork_celery.domain.redaction import (
    REDACTED,
    StreamMask,
    masking,
    redacted,
    secrets_of_job,
    secrets_of_task,
)


@pytest.mark.parametrize("key", ["MY_SECRET", "password", "Token", "AWS_ACCESS_KEY_ID", "x_access_key"])
@pytest.mark.parametrize("place", ["env", "inputs"])
def test_value_of_a_secret_key_is_redacted(key: str, place: str) -> None:
    document = {"tasks": [{place: {key: "a", "HOME": "b"}}]}
    assert redacted(document, str) == {"tasks": [{place: {key: REDACTED, "HOME": "b"}}]}


def test_secrets_and_registry_passwords_are_redacted() -> None:
    document = {"secrets": {"a": "b"}, "registry": {"username": "u", "password": "p"}}
    assert redacted(document, str) == {
        "secrets": {"a": REDACTED},
        "registry": {"username": "u", "password": REDACTED},
    }


def test_value_is_masked_everywhere() -> None:
    document = {"result": "it is hunter2.", "pre": [{"cmd": ["login", "hunter2"]}], "env": {"A": "hunter2"}}
    assert redacted(document, masking({"hunter2"})) == {
        "result": f"it is {REDACTED}.",
        "pre": [{"cmd": ["login", REDACTED]}],
        "env": {"A": REDACTED},
    }


def test_ids_and_states_are_not_masked() -> None:
    document = {"id": "abcdef", "state": "RUNNING", "number": 1}
    assert redacted(document, masking({"abc", "RUN"})) == document


def test_values_are_secret_by_their_place_or_key() -> None:
    job = job_definition(secrets={"a": "one"}, inputs={"api_token": "two", "name": "three"})
    step = task_definition(
        env={"PASSWORD": "four", "A": "five"}, registry=Registry(username="u", password="p")
    )
    task = task_definition(pre=1)
    assert secrets_of_job(job) == {"one", "two"}
    assert secrets_of_task(replace(task, post=(step,))) == {"four", "p"}


def test_nested_key_of_a_user_is_not_taken_for_an_id() -> None:
    document = {"id": "hunter2", "context": {"tasks": {"state": "hunter2"}}, "files": {"id": "hunter2"}}
    assert redacted(document, masking({"hunter2"})) == {
        "id": "hunter2",
        "context": {"tasks": {"state": REDACTED}},
        "files": {"id": REDACTED},
    }


def test_longer_of_two_secrets_with_a_common_prefix_is_masked() -> None:
    assert masking({"abc", "abcdef"})("abcdef abc") == f"{REDACTED} {REDACTED}"


def test_short_value_is_not_masked() -> None:
    assert masking({"1", "", "ab"})("1 ab") == "1 ab"


def test_long_line_of_a_secret_is_masked_on_its_own() -> None:
    assert masking({"BEGIN KEY\n0123456789\nEND"})("0123456789 END") == f"{REDACTED} END"


def test_possible_beginning_of_a_secret_is_held_back() -> None:
    mask = StreamMask({"hunter2"})
    assert [mask.feed("I am hun"), mask.feed("ter"), mask.feed("2!"), mask.feed("", final=True)] == [
        "I am ",
        "",
        f"{REDACTED}!",
        "",
    ]


def test_held_back_text_is_returned_at_the_end() -> None:
    mask = StreamMask({"hunter2"})
    assert [mask.feed("hunt"), mask.feed("", final=True)] == ["", "hunt"]


@given(
    text=st.text("abc\n", max_size=60),
    secrets=st.sets(st.text("abc\n", min_size=1, max_size=6), max_size=4),
    cuts=st.lists(st.integers(0, 60), max_size=8),
)
def test_result_does_not_depend_on_the_cuts(text: str, secrets: set[str], cuts: list[int]) -> None:
    mask = StreamMask(secrets)
    bounds = [0, *sorted(cut for cut in cuts if cut < len(text)), len(text)]
    pieces = [mask.feed(text[start:end]) for start, end in itertools.pairwise(bounds)]
    assert "".join(pieces) + mask.feed("", final=True) == masking(secrets)(text)
