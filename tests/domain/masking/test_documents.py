"""Documents of the API: what users wrote is masked, and nothing else."""

from typing import Any

import pytest

from tork_celery.domain.masking import REDACTED, MaskedValues, mask_document


def masked(definition: dict[str, Any], *values: str, **fields: Any) -> dict[str, Any]:
    return mask_document(definition, fields, MaskedValues(values))


@pytest.mark.parametrize("key", ["MY_SECRET", "password", "Token", "AWS_ACCESS_KEY_ID", "x_access_key"])
@pytest.mark.parametrize("place", ["env", "inputs", "headers"])
def test_value_of_a_secret_key_is_masked(key: str, place: str) -> None:
    document = {"tasks": [{place: {key: "a", "HOME": "b"}}]}
    assert masked(document) == {"tasks": [{place: {key: REDACTED, "HOME": "b"}}]}


def test_secrets_and_registry_passwords_are_masked_however_short() -> None:
    document = {"secrets": {"a": "b"}, "registry": {"username": "u", "password": "p"}}
    assert masked(document) == {
        "secrets": {"a": REDACTED},
        "registry": {"username": "u", "password": REDACTED},
    }


@pytest.mark.parametrize(
    ("definition", "expected"),
    [
        ({"pre": [{"cmd": ["login", "hunter2"]}]}, {"pre": [{"cmd": ["login", REDACTED]}]}),
        ({"env": {"A": "hunter2"}}, {"env": {"A": REDACTED}}),
        ({"env": {"hunter2": "a"}}, {"env": {REDACTED: "a"}}),
        ({"files": {"a/hunter2": "hunter2"}}, {"files": {f"a/{REDACTED}": REDACTED}}),
        ({"secrets": {"hunter2": "hunter2"}}, {"secrets": {REDACTED: REDACTED}}),
        ({"registry": {"username": "hunter2", "password": "p"}}, None),
        ({"var": "hunter2"}, {"var": REDACTED}),
        ({"queue": "q-hunter2"}, {"queue": f"q-{REDACTED}"}),
        (
            {"permissions": [{"user": {"username": "hunter2"}}]},
            {"permissions": [{"user": {"username": REDACTED}}]},
        ),
        ({"webhooks": [{"url": "http://h/hunter2"}]}, {"webhooks": [{"url": f"http://h/{REDACTED}"}]}),
        ({"mounts": [{"target": "/hunter2"}]}, {"mounts": [{"target": f"/{REDACTED}"}]}),
        ({"each": {"list": "hunter2", "size": 2}}, {"each": {"list": REDACTED, "size": 2}}),
        ({"priority": 3, "detached": True}, {"priority": 3, "detached": True}),
    ],
)
def test_values_and_keys_of_users_are_masked(
    definition: dict[str, Any], expected: dict[str, Any] | None
) -> None:
    expected = expected or {"registry": {"username": REDACTED, "password": REDACTED}}
    assert masked(definition, "hunter2") == expected


def test_result_error_and_context_are_masked() -> None:
    context = {
        "job": {"id": "hunter2", "name": "hunter2"},
        "tasks": {"hunter2": "hunter2", "state": "hunter2"},
    }
    document = masked({"name": "a"}, "hunter2", result="hunter2", error="hunter2", context=context)
    assert document == {
        "name": "a",
        "result": REDACTED,
        "error": REDACTED,
        "context": {
            "job": {"id": "hunter2", "name": REDACTED},
            "tasks": {REDACTED: REDACTED, "state": REDACTED},
        },
    }


@pytest.mark.parametrize(
    "field",
    [
        {"createdAt": "2026-11-25T13:16:53.784Z"},
        {"id": "2025abc"},
        {"jobId": "2025abc"},
        {"state": "COMPLETED"},
        {"queue": "default"},
        {"createdBy": {"username": "volume"}},
        {"cron": "2 * * * *"},
        {"schedule": {"id": "202", "cron": "202"}},
    ],
)
def test_fields_of_the_system_are_not_masked(field: dict[str, Any]) -> None:
    """A value that is part of a known text would be told by a mask there."""
    values = ("202", "def", "volume", "COMPLETED", "abc", "2 * *")
    assert masked({}, *values, **field) == field


@pytest.mark.parametrize(
    "definition",
    [
        {"mounts": [{"type": "volume"}]},
        {"webhooks": [{"event": "task.StateChange"}]},
        {"queue": "default"},
        {"schedule": {"cron": "2 * * * *", "id": "202"}},
        {"subjob": {"id": "202"}},
    ],
)
def test_choices_of_a_definition_are_not_masked(definition: dict[str, Any]) -> None:
    assert masked(definition, "202", "def", "volume", "task.StateChange", "2 * *") == definition


def test_key_of_a_user_is_not_taken_for_a_field_of_the_system() -> None:
    document = {"env": {"id": "hunter2", "type": "hunter2"}, "files": {"id": "hunter2"}}
    assert masked(document, "hunter2") == {
        "env": {"id": REDACTED, "type": REDACTED},
        "files": {"id": REDACTED},
    }


def test_keys_that_are_masked_alike_stay_apart() -> None:
    document = {"env": {"hunter2": "a", "hunter3": "b", "hunter2hunter3": "c"}}
    assert masked(document, "hunter2", "hunter3") == {
        "env": {REDACTED: "a", f"{REDACTED} 2": "b", f"{REDACTED} 3": "c"}
    }


def test_fields_follow_the_definition_and_replace_its_keys() -> None:
    document = masked(
        {"name": "a", "queue": "b", "tags": ["c"]}, queue="default", state="RUNNING", result="r"
    )
    assert list(document.items()) == [
        ("name", "a"),
        ("queue", "default"),
        ("tags", ["c"]),
        ("state", "RUNNING"),
        ("result", "r"),
    ]


def test_mark_is_not_masked_again() -> None:
    assert masked({"secrets": {"a": "x"}, "name": REDACTED}, "REDACTED") == {
        "secrets": {"a": REDACTED},
        "name": REDACTED,
    }
