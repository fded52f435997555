"""All settings, read from the environment once. `docs/deployment.md` lists them; a test holds it to that."""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from tork_celery.domain import durations, quantities
from tork_celery.domain.errors import ConfigurationError

PREFIX = "TORK_"
_BEATS_IN_A_LEASE = 3
_BROKER = re.compile(r"(redis|rediss|redis\+socket|amqp|amqps|pyamqp)://.*")
_ORIGIN = re.compile(r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?|https?://\[[0-9A-Fa-f:]+\](:[0-9]{1,5})?")


def _default_data_dir() -> Path:
    return Path.home() / ".local" / "share" / "tork-celery"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShutdownPolicy:
    """What SIGTERM does to the steps of a worker: they have `wait_s` to end by themselves; what runs then is
    left to run on or, with `release`, ended and its task given back."""

    wait_s: float = 0.0
    release: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One field a setting; the field `lease_s` is TORK_LEASE in the environment, a Go duration."""

    data_dir: Path
    broker_url: str = "redis://127.0.0.1:6379/0"
    broker_ca: str = ""
    datastore_url: str = ""
    datastore_full_sync: bool = False
    runtime: str = "docker"
    docker_url: str = ""
    bind_sources: tuple[Path, ...] = ()
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
    image_ttl_s: float | None = None
    log_limit_bytes: int = 256 * 1024 * 1024
    auth: tuple[str, ...] = ()
    cors_origins: tuple[str, ...] = ()
    body_limit_bytes: int = 4 * 1024 * 1024
    keep_jobs_s: float | None = None
    broker_visibility_timeout_s: float = 3600.0
    log_level: str = "INFO"

    @classmethod
    def load(cls, environment: Mapping[str, str]) -> "Settings":
        """Raises ConfigurationError naming the variable, its value, and what would be right."""
        known = {variable(field.name): field for field in fields(cls)}
        given = {}
        for name, field in known.items():
            if (text := environment.get(name, "")) != "":
                given[field.name] = _read(name, text, _READERS[field.name])
        given.setdefault("docker_url", environment.get("DOCKER_HOST", ""))  # as every client of Docker does
        data_dir = given.pop("data_dir", None) or _default_data_dir()
        given.setdefault("datastore_url", f"sqlite:///{data_dir.resolve()}/tork.db")
        loaded = cls(data_dir=data_dir.resolve(), **given)
        loaded.check()
        return loaded

    def check(self) -> None:
        """Raises ConfigurationError for values that do not go together."""
        if self.heartbeat_s > self.lease_s / _BEATS_IN_A_LEASE:
            raise ConfigurationError(
                f"TORK_HEARTBEAT: {self.heartbeat_s:g}s is more than a third of TORK_LEASE, "
                f"{self.lease_s:g}s: a node that misses a beat or two would lose its tasks"
            )


def variable(field_name: str) -> str:
    """The environment variable of a field: its name without the unit, which the value states."""
    return PREFIX + field_name.removesuffix("_s").removesuffix("_bytes").upper()


def load() -> Settings:
    """The settings of this process."""
    return Settings.load(os.environ)


def _read(name: str, text: str, reader: Callable[[str], Any]) -> Any:
    try:
        return reader(text)
    except ValueError as error:
        raise ConfigurationError(f"{name}: {error}") from error


def _flag(text: str) -> bool:
    if text.lower() in ("1", "true", "yes", "on"):
        return True
    if text.lower() in ("0", "false", "no", "off"):
        return False
    raise ValueError(f"{text!r} is neither true nor false")


def _broker_url(text: str) -> str:
    """It is not in the error: there may be a password in it."""
    if not _BROKER.fullmatch(text):
        raise ValueError(
            "it is no URL of Redis, Valkey or RabbitMQ; write it like redis://:PASSWORD@HOST:6379/0 (Valkey "
            "too) or amqp://USER:PASSWORD@HOST:5672//, by TLS rediss:// or amqps://"
        )
    return text


def _paths(text: str) -> tuple[Path, ...]:
    paths = tuple(Path(part) for part in text.split(":") if part)
    if wrong := [path for path in paths if not path.is_absolute()]:
        raise ValueError(f"{str(wrong[0])!r} is not an absolute path; write them like /srv/data:/srv/media")
    return paths


def _runtime(text: str) -> str:
    if text not in ("docker", "shell"):
        raise ValueError(f"{text!r} is no runtime; there are docker and shell")
    return text


def _auth(text: str) -> tuple[str, ...]:
    """The ways of authentication; none of them for `none`."""
    ways = tuple(dict.fromkeys(_listed(text)))
    if ways == ("none",):
        return ()
    if not ways or set(ways) - {"basic", "key"}:
        raise ValueError(f"{text!r} is no way of authentication; there are none, basic, key, and basic,key")
    return ways


def _origins(text: str) -> tuple[str, ...]:
    origins = () if text == "none" else _listed(text)
    for origin in origins:
        if origin != "*" and not _ORIGIN.fullmatch(origin):
            raise ValueError(f"{origin!r} is no origin; write it like https://tork.example.com:8080, or *")
    return origins


def _listed(text: str) -> tuple[str, ...]:
    """What stands between commas."""
    return tuple(part for each in text.split(",") if (part := each.strip()))


def _cpus(text: str) -> str:
    quantities.nano_cpus(text)
    return text


def _memory(text: str) -> str:
    quantities.memory_bytes(text)
    return text


def _timeout(text: str) -> str:
    durations.positive_seconds(text)
    return text


def _pull(text: str) -> str:
    if text not in ("missing", "always"):
        raise ValueError(f"{text!r} is no way to pull images; there are missing and always")
    return text


def _stop(text: str) -> ShutdownPolicy:
    if text == "leave":
        return ShutdownPolicy()
    if text == "release":
        return ShutdownPolicy(release=True)
    try:
        return ShutdownPolicy(wait_s=durations.seconds(text))
    except ValueError as error:
        raise ValueError(f"{text!r} is neither leave nor release nor a duration, such as 30s") from error


def _level(text: str) -> str:
    if text.upper() not in ("DEBUG", "INFO", "WARNING", "ERROR"):
        raise ValueError(f"{text!r} is no log level; there are DEBUG, INFO, WARNING and ERROR")
    return text.upper()


_READERS: dict[str, Callable[[str], Any]] = {
    "data_dir": Path,
    "broker_url": _broker_url,
    "broker_ca": str,
    "datastore_url": str,
    "datastore_full_sync": _flag,
    "runtime": _runtime,
    "docker_url": str,
    "bind_sources": _paths,
    "shell_allow_root": _flag,
    "lease_s": durations.positive_seconds,
    "heartbeat_s": durations.positive_seconds,
    "cancel_grace_s": durations.seconds,
    "default_cpus": _cpus,
    "default_memory": _memory,
    "default_timeout": _timeout,
    "pull": _pull,
    "stop": _stop,
    "pull_timeout_s": durations.positive_seconds,
    "image_ttl_s": durations.positive_seconds,
    "log_limit_bytes": quantities.size_bytes,
    "auth": _auth,
    "cors_origins": _origins,
    "body_limit_bytes": quantities.size_bytes,
    "keep_jobs_s": durations.positive_seconds,
    "broker_visibility_timeout_s": durations.positive_seconds,
    "log_level": _level,
}
