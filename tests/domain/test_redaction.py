"""What is secret is not shown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tork_celery.domain.redaction import REDACTED, redact_document, redact_values


@pytest.mark.parametrize(
    "key",
    [
        "SECRET",
        "my_secret",
        "DB_PASSWORD",
        "password",
        "API_TOKEN",
        "Token",
        "AWS_SECRET_ACCESS_KEY",
        "access_key",
    ],
)
def test_a_value_whose_key_says_so_is_masked(key: str) -> None:
    assert redact_values({key: "x"}) == {key: REDACTED}


@pytest.mark.parametrize("key", ["PORT", "PASS", "KEY", "SECRE", ""])
def test_other_values_are_shown(key: str) -> None:
    assert redact_values({key: "x"}) == {key: "x"}


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["env", "pre", "TOKEN", "x"]), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(json)
def test_every_environment_is_redacted_at_any_depth(document: object) -> None:
    nested = {"pre": [{"env": {"A_TOKEN": "hidden in here", "B": "shown"}}, document]}

    found = redact_document({"tasks": [nested]})

    assert found["tasks"][0]["pre"][0] == {"env": {"A_TOKEN": REDACTED, "B": "shown"}}
    assert "hidden in here" not in str(found)


def test_only_an_environment_is_redacted() -> None:
    document = {"name": "TOKEN", "files": {"TOKEN": "x"}, "env": "not a mapping"}

    assert redact_document(document) == document


def test_what_is_redacted_is_a_copy() -> None:
    document = {"env": {"TOKEN": "x"}}
    redact_document(document)

    assert document == {"env": {"TOKEN": "x"}}
