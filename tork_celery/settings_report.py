"""The effective settings of a process, for people: each with its value and where it comes from."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from tork_celery.settings import Settings, variable

REDACTED = "[REDACTED]"
_SECRETS = ("secret_key",)
_PASSWORD = re.compile(r"(?<=:)[^:@/]*(?=@)|(?<=://)[^:@/]+(?=@)")
_QUERY_PASSWORD = re.compile(r"(?<=password=)[^&]*", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A setting. `value` is the text in the environment or that of the default, without secrets; `source` is
    `environment` or `default`."""

    name: str
    value: str
    source: str


def report(settings: Settings, environment: Mapping[str, str]) -> list[Setting]:
    """Return all settings by name. `environment` is what they were read from."""
    return sorted(
        (_setting(settings, field.name, environment) for field in fields(settings)),
        key=lambda setting: setting.name,
    )


def _setting(settings: Settings, field: str, environment: Mapping[str, str]) -> Setting:
    name = variable(field)
    given = environment.get(name, "")
    source, shown = ("environment", given) if given else ("default", _text(getattr(settings, field)))
    if not given and field == "docker_url" and shown:
        source = "environment (DOCKER_HOST)"
    if field in _SECRETS:
        shown = REDACTED if shown else ""
    return Setting(name=name, value=_without_password(shown), source=source)


def _without_password(text: str) -> str:
    return _QUERY_PASSWORD.sub(REDACTED, _PASSWORD.sub(REDACTED, text) if "://" in text else text)


def _text(value: Any) -> str:
    """Return a default as it would be written."""
    if value is None or value == ():
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
