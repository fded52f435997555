"""Settings are read from environment variables; a wrong value is rejected with its variable's name."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url

from tork_celery.domain.errors import ConfigurationError
from tork_celery.domain.webhook_targets import WebhookTargets
from tork_celery.settings import Settings, ShutdownPolicy, load, variable

EXAMPLES: dict[str, tuple[str, Any]] = {
    "TORK_DATA_DIR": ("/somewhere", Path("/somewhere")),
    "TORK_BROKER_URL": ("amqp://there//", "amqp://there//"),
    "TORK_BROKER_CA": ("/etc/ca.pem", "/etc/ca.pem"),
    "TORK_DATASTORE_URL": ("postgresql://there/tork", "postgresql://there/tork"),
    "TORK_DATASTORE_FULL_SYNC": ("yes", True),
    "TORK_SECRET_KEY": (f"{'A' * 43}=, {'/' * 42}8=", (f"{'A' * 43}=", f"{'_' * 42}8=")),
    "TORK_RUNTIME": ("shell", "shell"),
    "TORK_DOCKER_URL": ("tcp://there:2375", "tcp://there:2375"),
    "TORK_BIND_SOURCES": ("/srv/data:/srv/media", (Path("/srv/data"), Path("/srv/media"))),
    "TORK_NETWORKS": ("office, lab", ("office", "lab")),
    "TORK_SANDBOX": ("off", False),
    "TORK_PIDS_LIMIT": ("0", 0),
    "TORK_CAPABILITIES": ("NET_RAW,MKNOD", ("NET_RAW", "MKNOD")),
    "TORK_NO_NEW_PRIVILEGES": ("true", True),
    "TORK_MAX_CPUS": ("1.5", "1.5"),
    "TORK_MAX_MEMORY": ("2g", "2g"),
    "TORK_SHELL": ("bash -o 'pipefail' -c", ("bash", "-o", "pipefail", "-c")),
    "TORK_HOST_ENV": ("LANG, CI_TOKEN:TOKEN", (("LANG", "LANG"), ("CI_TOKEN", "TOKEN"))),
    "TORK_RATE_LIMIT": ("2.5", 2.5),
    "TORK_STREAMS": ("12", 12),
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
    "TORK_ENGINE_WAIT": ("30m", 1800.0),
    "TORK_KEEP_JOBS": ("720h", 2_592_000.0),
    "TORK_KEEP_LOGS": ("24h", 86_400.0),
    "TORK_IMAGE_TTL": ("168h", 604800.0),
    "TORK_LOG_LIMIT": ("64k", 2**16),
    "TORK_STEP_DISK": ("off", None),
    "TORK_DISK_FLOOR": ("off", 0),
    "TORK_AUTH": ("basic, key", ("basic", "key")),
    "TORK_HOSTS": ("tork.example.com, tork", ("tork.example.com", "tork")),
    "TORK_WAIT_MAX": ("30m", 1800.0),
    "TORK_WEBHOOK_TARGETS": (
        "hooks.internal, 10.0.0.0/8",
        WebhookTargets.parse(["hooks.internal", "10.0.0.0/8"]),
    ),
    "TORK_CORS_ORIGINS": (
        "http://localhost:8080,https://[::1]",
        ("http://localhost:8080", "https://[::1]"),
    ),
    "TORK_BODY_LIMIT": ("4m", 2**22),
    "TORK_BROKER_VISIBILITY_TIMEOUT": ("2h", 7200.0),
    "TORK_LOG_LEVEL": ("debug", "DEBUG"),
    "TORK_LOG_FORMAT": ("json", "json"),
    "TORK_LIBRARY_LOG": ("/var/log/libraries", "/var/log/libraries"),
}

NAMES = {variable(field.name): field.name for field in fields(Settings)}


@pytest.mark.parametrize("name", NAMES)
def test_setting_is_read_from_its_variable(name: str) -> None:
    text, value = EXAMPLES[name]

    assert getattr(Settings.load({name: text}), NAMES[name]) == value


@pytest.mark.parametrize("name", NAMES)
def test_empty_variable_counts_as_unset(name: str) -> None:
    assert Settings.load({name: ""}) == Settings.load({})


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        (
            "TORK_DATASTORE_FULL_SYNC",
            "maybe",
            "is not a boolean; allowed: true, false (or 1, 0, yes, no, on, off)",
        ),
        ("TORK_SHELL_ALLOW_ROOT", "2", "is not a boolean; allowed: true, false (or 1, 0, yes, no, on, off)"),
        ("TORK_DATA_DIR", "/srv/\udcff", "is not valid UTF-8; choose another directory"),
        ("TORK_RUNTIME", "podman", "is not a runtime; allowed: docker, shell"),
        ("TORK_BIND_SOURCES", "data", "is not an absolute path; write paths like /srv/data:/srv/media"),
        (
            "TORK_NETWORKS",
            "host",
            "is not a network that tasks can join; allowed: any, none, or names such as office,lab",
        ),
        ("TORK_PIDS_LIMIT", "-1", "is not a number; allowed: whole numbers from 0"),
        (
            "TORK_CAPABILITIES",
            "SYS_ADMIN",
            "is not a capability that can be kept; allowed: none, MKNOD, NET_RAW",
        ),
        ("TORK_MAX_CPUS", "many", "write it like 0.5"),
        ("TORK_MAX_MEMORY", "1k", "at least 6m is needed"),
        ("TORK_SHELL", " ", "is not a command; allowed: words such as bash -c"),
        ("TORK_LEASE", "10", "write it like 1h30m"),
        ("TORK_LEASE", "0s", "must be longer than 0"),
        ("TORK_HEARTBEAT", "-1s", "write it like 1h30m"),
        ("TORK_DEFAULT_CPUS", "many", "write it like 0.5"),
        ("TORK_DEFAULT_MEMORY", "1k", "at least 6m is needed"),
        ("TORK_DEFAULT_TIMEOUT", "0s", "must be longer than 0"),
        ("TORK_PULL", "never", "is not a pull policy; allowed: missing, always"),
        ("TORK_STOP", "now", "is not a shutdown policy; allowed: leave, release, or a duration such as 30s"),
        ("TORK_PULL_TIMEOUT", "soon", "write it like 1h30m"),
        ("TORK_BROKER_VISIBILITY_TIMEOUT", "0", "must be longer than 0"),
        ("TORK_IMAGE_TTL", "0s", "must be longer than 0"),
        ("TORK_LOG_LIMIT", "much", "write it like 500m"),
        ("TORK_STEP_DISK", "0", "write it like 500m"),
        ("TORK_DISK_FLOOR", "1%", "write it like 500m"),
        ("TORK_BODY_LIMIT", "-1g", "write it like 500m"),
        ("TORK_WEBHOOK_TARGETS", "*", "'*' is not a host name, an address or a network"),
        (
            "TORK_AUTH",
            "password",
            "is not an authentication scheme; allowed: none, basic, key (or basic,key)",
        ),
        (
            "TORK_AUTH",
            "none,basic",
            "is not an authentication scheme; allowed: none, basic, key (or basic,key)",
        ),
        ("TORK_AUTH", ",", "is not an authentication scheme; allowed: none, basic, key (or basic,key)"),
        (
            "TORK_CORS_ORIGINS",
            "example.com",
            "is not an origin; allowed: none, *, or URLs such as https://tork.example.com:8080",
        ),
        (
            "TORK_CORS_ORIGINS",
            "http://a/b",
            "is not an origin; allowed: none, *, or URLs such as https://tork.example.com:8080",
        ),
        ("TORK_HOST_ENV", "A:B:C", "is not a variable; allowed: NAME or NAME:ALIAS"),
        ("TORK_HOST_ENV", "A=B", "is not a variable; allowed: NAME or NAME:ALIAS"),
        ("TORK_HOST_ENV", ":B", "is not a variable; allowed: NAME or NAME:ALIAS"),
        ("TORK_RATE_LIMIT", "0", "is not a number of requests per second; allowed: numbers above 0"),
        ("TORK_RATE_LIMIT", "nan", "is not a number of requests per second; allowed: numbers above 0"),
        ("TORK_LOG_LEVEL", "LOUD", "is not a log level; allowed: DEBUG, INFO, WARNING, ERROR"),
    ],
)
def test_invalid_value_is_rejected_with_the_allowed_values(name: str, text: str, expected: str) -> None:
    with pytest.raises(ConfigurationError) as rejected:
        Settings.load({name: text})

    assert str(rejected.value).startswith(f"{name}: ")
    assert repr(text) in str(rejected.value)
    assert expected in str(rejected.value)


@pytest.mark.parametrize(("text", "value"), [("any", None), ("none", ())])
def test_networks_are_all_or_none(text: str, value: tuple[str, ...] | None) -> None:
    assert Settings.load({"TORK_NETWORKS": text}).networks == value


@pytest.mark.parametrize(
    ("default", "ceiling", "message"),
    [
        ("TORK_DEFAULT_CPUS=2", "TORK_MAX_CPUS=1.5", "TORK_DEFAULT_CPUS: 2 is more than TORK_MAX_CPUS, 1.5"),
        (
            "TORK_DEFAULT_MEMORY=2g",
            "TORK_MAX_MEMORY=1g",
            "TORK_DEFAULT_MEMORY: 2g is more than TORK_MAX_MEMORY",
        ),
    ],
)
def test_default_limit_above_the_ceiling_is_rejected(default: str, ceiling: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        Settings.load(dict(each.split("=") for each in (default, ceiling)))


@pytest.mark.parametrize("url", ["redis://a", "rediss://a", "redis+socket:///a", "amqp://a//", "amqps://a//"])
def test_url_of_a_supported_broker_is_accepted(url: str) -> None:
    assert Settings.load({"TORK_BROKER_URL": url}).broker_url == url


@pytest.mark.parametrize("url", ["http://u:hush@a", "valkey://u:hush@a", "sqs://hush@", "u:hush@a:6379", "a"])
def test_other_broker_url_is_rejected_without_showing_its_password(url: str) -> None:
    with pytest.raises(
        ConfigurationError, match=r"TORK_BROKER_URL: .*write it like redis://.* or amqp://"
    ) as rejected:
        Settings.load({"TORK_BROKER_URL": url})

    assert "hush" not in str(rejected.value)


def test_heartbeat_longer_than_a_third_of_the_lease_is_rejected() -> None:
    with pytest.raises(ConfigurationError, match="TORK_HEARTBEAT: 2s is more than a third of TORK_LEASE, 5s"):
        Settings.load({"TORK_LEASE": "5s"})
    assert Settings.load({"TORK_LEASE": "6s"}).heartbeat_s == 2.0


@pytest.mark.parametrize(
    ("text", "value"), [("TRUE", True), ("on", True), ("No", False), ("off", False), ("0", False)]
)
def test_boolean_is_case_insensitive(text: str, *, value: bool) -> None:
    assert Settings.load({"TORK_SHELL_ALLOW_ROOT": text}).shell_allow_root is value


@pytest.mark.parametrize(
    ("text", "value"), [("leave", ShutdownPolicy()), ("release", ShutdownPolicy(release=True))]
)
def test_shutdown_policy_is_leave_or_release(text: str, value: ShutdownPolicy) -> None:
    assert Settings.load({"TORK_STOP": text}).stop == value


def test_default_datastore_is_a_file_in_the_data_directory() -> None:
    assert Settings.load({"TORK_DATA_DIR": "/x/../y"}).datastore_url == "sqlite:////y/tork.db"


@pytest.mark.parametrize("name", ["q?x=1", "h#ash", "p%20c", "semi;colon", "new\nline", "ü: '\"\\"])
def test_datastore_url_quotes_the_data_directory(name: str) -> None:
    url = Settings.load({"TORK_DATA_DIR": f"/srv/{name}"}).datastore_url

    assert make_url(url).database == f"/srv/{name}/tork.db"


def test_relative_data_directory_is_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    assert Settings.load({"TORK_DATA_DIR": "here"}).data_dir == tmp_path / "here"


def test_default_data_directory_is_in_the_home_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))

    assert Settings.load({}).data_dir == tmp_path / ".local" / "share" / "tork-celery"


def test_default_docker_url_is_docker_host() -> None:
    assert Settings.load({"DOCKER_HOST": "tcp://a"}).docker_url == "tcp://a"
    assert Settings.load({"DOCKER_HOST": "tcp://a", "TORK_DOCKER_URL": "tcp://b"}).docker_url == "tcp://b"


def test_load_reads_the_environment_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORK_LEASE", "7s")

    assert load().lease_s == 7.0


def test_wildcard_origin_needs_authentication() -> None:
    with pytest.raises(ConfigurationError, match=r"TORK_CORS_ORIGINS: \* .* set TORK_AUTH"):
        Settings.load({"TORK_CORS_ORIGINS": "*"})

    assert Settings.load({"TORK_CORS_ORIGINS": "*", "TORK_AUTH": "key"}).cors_origins == ("*",)
