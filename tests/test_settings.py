"""Every setting is read from its variable, and a value that is wrong is named."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from tork_celery.domain.errors import ConfigurationError
from tork_celery.settings import Settings, ShutdownPolicy, load, variable

GIVEN: dict[str, tuple[str, Any]] = {
    "TORK_DATA_DIR": ("/somewhere", Path("/somewhere")),
    "TORK_BROKER_URL": ("amqp://there//", "amqp://there//"),
    "TORK_BROKER_CA": ("/etc/ca.pem", "/etc/ca.pem"),
    "TORK_DATASTORE_URL": ("postgresql://there/tork", "postgresql://there/tork"),
    "TORK_DATASTORE_FULL_SYNC": ("yes", True),
    "TORK_RUNTIME": ("shell", "shell"),
    "TORK_DOCKER_URL": ("tcp://there:2375", "tcp://there:2375"),
    "TORK_BIND_SOURCES": ("/srv/data:/srv/media", (Path("/srv/data"), Path("/srv/media"))),
    "TORK_SHELL_ALLOW_ROOT": ("1", True),
    "TORK_LEASE": ("1m", 60.0),
    "TORK_HEARTBEAT": ("500ms", 0.5),
    "TORK_CANCEL_GRACE": ("0s", 0.0),
    "TORK_DEFAULT_CPUS": ("0.5", "0.5"),
    "TORK_DEFAULT_MEMORY": ("500m", "500m"),
    "TORK_DEFAULT_TIMEOUT": ("1h30m", "1h30m"),
    "TORK_PULL": ("always", "always"),
    "TORK_STOP": ("30s", ShutdownPolicy(wait_s=30.0)),
    "TORK_PULL_TIMEOUT": ("1h", 3600.0),
    "TORK_KEEP_JOBS": ("720h", 2_592_000.0),
    "TORK_IMAGE_TTL": ("168h", 604800.0),
    "TORK_LOG_LIMIT": ("64k", 2**16),
    "TORK_AUTH": ("basic, key", ("basic", "key")),
    "TORK_CORS_ORIGINS": (
        "http://localhost:8080,https://[::1]",
        ("http://localhost:8080", "https://[::1]"),
    ),
    "TORK_BODY_LIMIT": ("4m", 2**22),
    "TORK_BROKER_VISIBILITY_TIMEOUT": ("2h", 7200.0),
    "TORK_LOG_LEVEL": ("debug", "DEBUG"),
}

NAMES = {variable(field.name): field.name for field in fields(Settings)}


@pytest.mark.parametrize("name", NAMES)
def test_a_setting_is_read_from_its_variable(name: str) -> None:
    text, value = GIVEN[name]

    assert getattr(Settings.load({name: text}), NAMES[name]) == value


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_variable_is_like_none(name: str) -> None:
    assert Settings.load({name: ""}) == Settings.load({})


@pytest.mark.parametrize(
    ("name", "text", "right"),
    [
        ("TORK_DATASTORE_FULL_SYNC", "maybe", "neither true nor false"),
        ("TORK_SHELL_ALLOW_ROOT", "2", "neither true nor false"),
        ("TORK_RUNTIME", "podman", "there are docker and shell"),
        ("TORK_BIND_SOURCES", "data", "is not an absolute path; write them like /srv/data:"),
        ("TORK_LEASE", "10", "write it like 1h30m"),
        ("TORK_LEASE", "0s", "must be longer than 0"),
        ("TORK_HEARTBEAT", "-1s", "write it like 1h30m"),
        ("TORK_DEFAULT_CPUS", "many", "write it like 0.5"),
        ("TORK_DEFAULT_MEMORY", "1k", "6m is the least"),
        ("TORK_DEFAULT_TIMEOUT", "0s", "must be longer than 0"),
        ("TORK_PULL", "never", "there are missing and always"),
        ("TORK_STOP", "now", "neither leave nor release nor a duration"),
        ("TORK_PULL_TIMEOUT", "soon", "write it like 1h30m"),
        ("TORK_BROKER_VISIBILITY_TIMEOUT", "0", "must be longer than 0"),
        ("TORK_IMAGE_TTL", "0s", "must be longer than 0"),
        ("TORK_LOG_LIMIT", "much", "write it like 500m"),
        ("TORK_BODY_LIMIT", "-1g", "write it like 500m"),
        ("TORK_AUTH", "password", "there are none, basic, key, and basic,key"),
        ("TORK_AUTH", "none,basic", "there are none, basic, key, and basic,key"),
        ("TORK_AUTH", ",", "there are none, basic, key, and basic,key"),
        ("TORK_CORS_ORIGINS", "example.com", "write it like https://tork.example.com:8080, or *"),
        ("TORK_CORS_ORIGINS", "http://a/b", "write it like https://tork.example.com:8080, or *"),
        ("TORK_LOG_LEVEL", "LOUD", "there are DEBUG, INFO, WARNING and ERROR"),
    ],
)
def test_a_wrong_value_is_refused_with_what_would_be_right(name: str, text: str, right: str) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        Settings.load({name: text})

    assert str(refusal.value).startswith(f"{name}: ")
    assert repr(text) in str(refusal.value)
    assert right in str(refusal.value)


@pytest.mark.parametrize("url", ["redis://a", "rediss://a", "redis+socket:///a", "amqp://a//", "amqps://a//"])
def test_a_broker_is_one_of_those_that_there_are(url: str) -> None:
    assert Settings.load({"TORK_BROKER_URL": url}).broker_url == url


@pytest.mark.parametrize("url", ["http://u:hush@a", "valkey://u:hush@a", "sqs://hush@", "u:hush@a:6379", "a"])
def test_another_broker_is_refused_and_its_password_is_not_shown(url: str) -> None:
    with pytest.raises(
        ConfigurationError, match=r"TORK_BROKER_URL: .*write it like redis://.* or amqp://"
    ) as no:
        Settings.load({"TORK_BROKER_URL": url})

    assert "hush" not in str(no.value)


def test_a_heartbeat_that_is_long_for_the_lease_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="TORK_HEARTBEAT: 2s is more than a third of TORK_LEASE, 5s"):
        Settings.load({"TORK_LEASE": "5s"})
    assert Settings.load({"TORK_LEASE": "6s"}).heartbeat_s == 2.0


@pytest.mark.parametrize(
    ("text", "value"), [("TRUE", True), ("on", True), ("No", False), ("off", False), ("0", False)]
)
def test_a_flag_is_true_or_false(text: str, *, value: bool) -> None:
    assert Settings.load({"TORK_SHELL_ALLOW_ROOT": text}).shell_allow_root is value


@pytest.mark.parametrize(
    ("text", "value"), [("leave", ShutdownPolicy()), ("release", ShutdownPolicy(release=True))]
)
def test_a_stop_leaves_or_releases(text: str, value: ShutdownPolicy) -> None:
    assert Settings.load({"TORK_STOP": text}).stop == value


def test_the_datastore_is_a_file_in_the_data_directory_by_default() -> None:
    assert Settings.load({"TORK_DATA_DIR": "/x/../y"}).datastore_url == "sqlite:////y/tork.db"


def test_the_data_directory_is_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    assert Settings.load({"TORK_DATA_DIR": "here"}).data_dir == tmp_path / "here"


def test_without_a_data_directory_it_is_in_the_home_of_the_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))

    assert Settings.load({}).data_dir == tmp_path / ".local" / "share" / "tork-celery"


def test_the_engine_is_where_every_client_of_docker_looks_for_it() -> None:
    assert Settings.load({"DOCKER_HOST": "tcp://a"}).docker_url == "tcp://a"
    assert Settings.load({"DOCKER_HOST": "tcp://a", "TORK_DOCKER_URL": "tcp://b"}).docker_url == "tcp://b"


def test_the_settings_of_this_process_are_those_of_its_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORK_LEASE", "7s")

    assert load().lease_s == 7.0
