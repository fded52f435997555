"""The settings of a process, read once from the environment.

`docs/deployment.md` documents them; tests/docs/test_documented_settings.py compares it with this module.
"""

import os
import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tork_celery.domain import durations, quantities
from tork_celery.domain.errors import ConfigurationError
from tork_celery.domain.secret_key import secret_key
from tork_celery.domain.webhook_targets import WebhookTargets

PREFIX = "TORK_"
_HEARTBEATS_PER_LEASE = 3
_BROKER_URL = re.compile(r"(redis|rediss|redis\+socket|amqp|amqps|pyamqp)://.*")
_NETWORK_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
_CAPABILITIES = ("MKNOD", "NET_RAW")
_MAX_DIGITS = 9
_HOST_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,252}[A-Za-z0-9])?")
_VARIABLE = re.compile(r"[^=:,\s]+")
_DECIMAL = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?", re.ASCII)
_ORIGIN = re.compile(r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?|https?://\[[0-9A-Fa-f:]+\](:[0-9]{1,5})?")


def _default_data_dir() -> Path:
    return Path.home() / ".local" / "share" / "tork-celery"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShutdownPolicy:
    """What a worker does with its running steps on SIGTERM.

    The worker waits up to `wait_s` for the steps to end. Then it detaches from those that still run or, with
    `release`, kills them and releases their tasks.
    """

    wait_s: float = 0.0
    release: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings, one field each. `variable` maps a field to its environment variable: the field `lease_s`
    is read from TORK_LEASE, as a duration such as 10s."""

    data_dir: Path
    broker_url: str = "redis://127.0.0.1:6379/0"
    broker_ca: str = ""
    datastore_url: str = ""
    datastore_full_sync: bool = False
    secret_key: tuple[str, ...] = field(default=(), repr=False)
    runtime: str = "docker"
    docker_url: str = ""
    bind_sources: tuple[Path, ...] = ()
    networks: tuple[str, ...] | None = None
    sandbox: bool = True
    pids_limit: int = 4096
    capabilities: tuple[str, ...] = ()
    no_new_privileges: bool = False
    max_cpus: str = ""
    max_memory: str = ""
    shell: tuple[str, ...] = ("bash", "-c")
    host_env: tuple[tuple[str, str], ...] = ()
    shell_allow_root: bool = False
    lease_s: float = 10.0
    heartbeat_s: float = 2.0
    cancel_grace_s: float = 3.0
    default_cpus: str = ""
    default_memory: str = ""
    default_timeout: str = ""
    pull: str = "missing"
    stop: ShutdownPolicy = ShutdownPolicy()
    pull_timeout_s: float = 900.0
    engine_wait_s: float = 3600.0
    image_ttl_s: float | None = None
    log_limit_bytes: int = 256 * 1024 * 1024
    step_disk_bytes: int | None = 10 * 2**30
    disk_floor_bytes: int | None = None
    auth: tuple[str, ...] = ()
    cors_origins: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    body_limit_bytes: int = 4 * 1024 * 1024
    wait_max_s: float = 3600.0
    webhook_targets: WebhookTargets = field(default_factory=WebhookTargets)
    rate_limit: float | None = None
    streams: int = 256
    keep_jobs_s: float | None = None
    keep_logs_s: float | None = None
    broker_visibility_timeout_s: float = 3600.0
    log_level: str = "INFO"
    log_format: str = "auto"
    library_log: str = ""

    @classmethod
    def load(cls, environment: Mapping[str, str]) -> "Settings":
        """Return the settings in `environment`; an empty variable counts as unset.

        Raises ConfigurationError with the variable, its value and a correct example.
        """
        values = {}
        for each in fields(cls):
            name = variable(each.name)
            if (text := environment.get(name, "")) != "":
                values[each.name] = _parse(name, text, _PARSERS[each.name])
        values.setdefault("docker_url", environment.get("DOCKER_HOST", ""))  # like every Docker client
        data_dir = values.pop("data_dir", None) or _default_data_dir()
        values.setdefault("datastore_url", f"sqlite:///{quote(str(data_dir.resolve()))}/tork.db")
        loaded = cls(data_dir=data_dir.resolve(), **values)
        loaded.check()
        return loaded

    def check(self) -> None:
        """Check that the values are consistent with each other. Raises ConfigurationError."""
        if self.heartbeat_s > self.lease_s / _HEARTBEATS_PER_LEASE:
            raise ConfigurationError(
                f"TORK_HEARTBEAT: {self.heartbeat_s:g}s is more than a third of TORK_LEASE, "
                f"{self.lease_s:g}s: a node that misses one or two heartbeats would lose its tasks"
            )
        if "*" in self.cors_origins and not self.auth:
            raise ConfigurationError(
                "TORK_CORS_ORIGINS: * lets every web page use the API of its visitors; list the origins, "
                "or set TORK_AUTH"
            )
        self._check_ceiling("cpus", quantities.nano_cpus)
        self._check_ceiling("memory", quantities.memory_bytes)

    def _check_ceiling(self, limit: str, parse: Callable[[str], int]) -> None:
        """Check that the default of a limit is not above its ceiling."""
        default, ceiling = getattr(self, f"default_{limit}"), getattr(self, f"max_{limit}")
        if default and ceiling and parse(default) > parse(ceiling):
            raise ConfigurationError(
                f"TORK_DEFAULT_{limit.upper()}: {default} is more than TORK_MAX_{limit.upper()}, {ceiling}"
            )


def variable(field_name: str) -> str:
    """Return the environment variable of a field: its name without the unit, which is part of the value."""
    return PREFIX + field_name.removesuffix("_s").removesuffix("_bytes").upper()


def exports_traces(environment: Mapping[str, str]) -> bool:
    """Return whether traces are exported. These variables are OpenTelemetry's own, as all that concern it."""
    if environment.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return False
    if environment.get("OTEL_TRACES_EXPORTER", "otlp") != "otlp":
        return False
    endpoints = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    return any(environment.get(name) for name in endpoints)


def load() -> Settings:
    """Return the settings of this process. Raises ConfigurationError."""
    return Settings.load(os.environ)


def _parse(name: str, text: str, parser: Callable[[str], Any]) -> Any:
    try:
        return parser(text)
    except ValueError as error:
        raise ConfigurationError(f"{name}: {error}") from error


def _not_allowed(text: str, kind: str, allowed: str) -> ValueError:
    return ValueError(f"{text!r} is not {kind}; allowed: {allowed}")


def _one_of(kind: str, *allowed: str) -> Callable[[str], str]:
    """Return a parser that accepts the allowed values only."""

    def parse(text: str) -> str:
        if text not in allowed:
            raise _not_allowed(text, kind, ", ".join(allowed))
        return text

    return parse


def _boolean(text: str) -> bool:
    if text.lower() in ("1", "true", "yes", "on"):
        return True
    if text.lower() in ("0", "false", "no", "off"):
        return False
    raise _not_allowed(text, "a boolean", "true, false (or 1, 0, yes, no, on, off)")


def _broker_url(text: str) -> str:
    """The error does not show the URL, which may hold a password."""
    if not _BROKER_URL.fullmatch(text):
        raise ValueError(
            "not a URL of Redis, Valkey or RabbitMQ; write it like redis://:PASSWORD@HOST:6379/0 (Valkey "
            "too) or amqp://USER:PASSWORD@HOST:5672//, with TLS rediss:// or amqps://"
        )
    return text


def _data_dir(text: str) -> Path:
    """SQLite and the broker take paths as UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"{text!r} is not valid UTF-8; choose another directory") from error
    return Path(text)


def _secret_keys(text: str) -> tuple[str, ...]:
    """Return keys in URL-safe base64. The error does not show them."""
    return tuple(secret_key(key) for key in _comma_separated(text))


def _paths(text: str) -> tuple[Path, ...]:
    paths = tuple(Path(part) for part in text.split(":") if part)
    for path in paths:
        if not path.is_absolute():
            raise ValueError(f"{str(path)!r} is not an absolute path; write paths like /srv/data:/srv/media")
    return paths


def _auth(text: str) -> tuple[str, ...]:
    """Return the authentication schemes; an empty tuple for `none`."""
    schemes = tuple(dict.fromkeys(_comma_separated(text)))
    if schemes == ("none",):
        return ()
    if not schemes or set(schemes) - {"basic", "key"}:
        raise _not_allowed(text, "an authentication scheme", "none, basic, key (or basic,key)")
    return schemes


def _origins(text: str) -> tuple[str, ...]:
    origins = () if text == "none" else _comma_separated(text)
    for origin in origins:
        if origin != "*" and not _ORIGIN.fullmatch(origin):
            raise _not_allowed(origin, "an origin", "none, *, or URLs such as https://tork.example.com:8080")
    return origins


def _host_names(text: str) -> tuple[str, ...]:
    names = _comma_separated(text)
    for name in names:
        if not _HOST_NAME.fullmatch(name):
            raise _not_allowed(name, "a host name", "names without a port, such as tork.example.com,tork")
    return names


def _networks(text: str) -> tuple[str, ...] | None:
    """Return the networks that tasks may join; None for `any`, an empty tuple for `none`."""
    if text == "any":
        return None
    names = () if text == "none" else _comma_separated(text)
    for name in names:
        if not _NETWORK_NAME.fullmatch(name) or name == "host":
            raise _not_allowed(
                name, "a network that tasks can join", "any, none, or names such as office,lab"
            )
    return names


def _capabilities(text: str) -> tuple[str, ...]:
    """Return the capabilities that containers keep; an empty tuple for `none`."""
    names = () if text == "none" else _comma_separated(text)
    for name in names:
        if name not in _CAPABILITIES:
            raise _not_allowed(name, "a capability that can be kept", f"none, {', '.join(_CAPABILITIES)}")
    return names


def _count(text: str) -> int:
    if not (text.isascii() and text.isdecimal()) or len(text) > _MAX_DIGITS:
        raise _not_allowed(text, "a number", "whole numbers from 0")
    return int(text)


def _command(text: str) -> tuple[str, ...]:
    words = shlex.split(text)
    if not words:
        raise _not_allowed(text, "a command", "words such as bash -c")
    return tuple(words)


def _host_env(text: str) -> tuple[tuple[str, str], ...]:
    """Return pairs of a variable of the worker and its name in steps."""
    pairs = []
    for each in _comma_separated(text):
        name, _, alias = each.partition(":")
        if not _VARIABLE.fullmatch(name) or not _VARIABLE.fullmatch(alias or name):
            raise _not_allowed(each, "a variable", "NAME or NAME:ALIAS, such as HTTP_PROXY,CI_TOKEN:TOKEN")
        pairs.append((name, alias or name))
    return tuple(pairs)


def _rate(text: str) -> float:
    if not _DECIMAL.fullmatch(text) or float(text) <= 0:
        raise _not_allowed(text, "a number of requests per second", "numbers above 0, such as 20 or 0.5")
    return float(text)


def _comma_separated(text: str) -> tuple[str, ...]:
    return tuple(stripped for part in text.split(",") if (stripped := part.strip()))


def _cpus(text: str) -> str:
    quantities.nano_cpus(text)
    return text


def _memory(text: str) -> str:
    quantities.memory_bytes(text)
    return text


def _timeout(text: str) -> str:
    durations.positive_seconds(text)
    return text


def _shutdown_policy(text: str) -> ShutdownPolicy:
    if text == "leave":
        return ShutdownPolicy()
    if text == "release":
        return ShutdownPolicy(release=True)
    try:
        return ShutdownPolicy(wait_s=durations.seconds(text))
    except ValueError as error:
        raise _not_allowed(text, "a shutdown policy", "leave, release, or a duration such as 30s") from error


def _log_level(text: str) -> str:
    if text.upper() not in ("DEBUG", "INFO", "WARNING", "ERROR"):
        raise _not_allowed(text, "a log level", "DEBUG, INFO, WARNING, ERROR")
    return text.upper()


_PARSERS: dict[str, Callable[[str], Any]] = {
    "data_dir": _data_dir,
    "broker_url": _broker_url,
    "broker_ca": str,
    "datastore_url": str,
    "datastore_full_sync": _boolean,
    "secret_key": _secret_keys,
    "runtime": _one_of("a runtime", "docker", "shell"),
    "docker_url": str,
    "bind_sources": _paths,
    "networks": _networks,
    "sandbox": _boolean,
    "pids_limit": _count,
    "capabilities": _capabilities,
    "no_new_privileges": _boolean,
    "max_cpus": _cpus,
    "max_memory": _memory,
    "shell": _command,
    "host_env": _host_env,
    "shell_allow_root": _boolean,
    "lease_s": durations.positive_seconds,
    "heartbeat_s": durations.positive_seconds,
    "cancel_grace_s": durations.seconds,
    "default_cpus": _cpus,
    "default_memory": _memory,
    "default_timeout": _timeout,
    "pull": _one_of("a pull policy", "missing", "always"),
    "stop": _shutdown_policy,
    "pull_timeout_s": durations.positive_seconds,
    "engine_wait_s": durations.positive_seconds,
    "image_ttl_s": durations.positive_seconds,
    "log_limit_bytes": quantities.size_bytes,
    "step_disk_bytes": lambda text: None if text == "off" else quantities.size_bytes(text),
    "disk_floor_bytes": lambda text: 0 if text == "off" else quantities.size_bytes(text),
    "auth": _auth,
    "cors_origins": _origins,
    "hosts": _host_names,
    "body_limit_bytes": quantities.size_bytes,
    "wait_max_s": durations.positive_seconds,
    "webhook_targets": lambda text: WebhookTargets.parse(_comma_separated(text)),
    "rate_limit": _rate,
    "streams": _count,
    "keep_jobs_s": durations.positive_seconds,
    "keep_logs_s": durations.positive_seconds,
    "broker_visibility_timeout_s": durations.positive_seconds,
    "log_level": _log_level,
    "log_format": _one_of("a log format", "auto", "human", "logfmt", "json"),
    "library_log": str,
}
