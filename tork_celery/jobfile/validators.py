"""Checks of values beyond their type. Each raises marshmallow's `ValidationError`."""

import posixpath
import re
from collections.abc import Callable

from marshmallow import ValidationError

from tork_celery.domain import cron, durations, identifiers, quantities, queue_names, user, webhooks

_PATH = re.compile(r"[-/.0-9a-zA-Z_= ]+", re.ASCII)
_MODE = re.compile(r"[01]?[0-7]{3}", re.ASCII)
_DEVICES = "device=[A-Za-z0-9-]+(,[A-Za-z0-9-]+)*"
_GPUS = re.compile(rf'(count=)?(all|[1-9][0-9]{{0,2}})|{_DEVICES}|"{_DEVICES}"', re.ASCII)
_NETWORK = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}", re.ASCII)
_URL_PATH = re.compile(r"/[!-~]*", re.ASCII)
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", re.ASCII)
_TORK_DIRECTORY = "/tork"


def not_empty(text: str) -> None:
    if not text:
        raise ValidationError("must not be empty")


def duration(text: str) -> None:
    """Accept durations above zero."""
    _convert_error(durations.positive_seconds, text)


def cpus(text: str) -> None:
    _convert_error(quantities.nano_cpus, text)


def memory(text: str) -> None:
    _convert_error(quantities.memory_bytes, text)


def size(text: str) -> None:
    _convert_error(quantities.size_bytes, text)


def file_mode(text: str) -> None:
    if not _MODE.fullmatch(text):
        raise ValidationError("expected an octal number, such as 1777")


def gpus(text: str) -> None:
    """Accept what Docker's `--gpus` accepts."""
    if not _GPUS.fullmatch(text):
        raise ValidationError("expected `all`, a number, or `device=0,1`")


def network(name: str) -> None:
    """Accept names of Docker networks, except the host's network and none at all."""
    if not _NETWORK.fullmatch(name):
        raise ValidationError("only letters, digits, `_`, `.` and `-` are allowed")
    if name in ("host", "none"):
        raise ValidationError(f"a task cannot join the network `{name}`")


def url(text: str) -> None:
    if not webhooks.is_url(text):
        raise ValidationError("expected a URL that begins with http:// or https://")


def url_path(text: str) -> None:
    if not _URL_PATH.fullmatch(text):
        raise ValidationError("expected a path such as `/health`")


def header_name(name: str) -> None:
    if not _HEADER.fullmatch(name):
        raise ValidationError("not a valid name of an HTTP header")


def queue(name: str) -> None:
    _convert_error(queue_names.check, name)


def cron_expression(text: str) -> None:
    _convert_error(cron.check, text)


def timezone(name: str) -> None:
    _convert_error(cron.check_timezone, name)


def user_name(name: str) -> None:
    _convert_error(user.check_name, name)


def identifier(name: str) -> None:
    _convert_error(identifiers.check_identifier, name)


def env_name(name: str) -> None:
    if not name or "=" in name:
        raise ValidationError("the name of an environment variable must not be empty or contain `=`")


def file_name(name: str) -> None:
    """Accept normalized relative paths that stay in the work directory."""
    if {"", ".", ".."} & set(name.split("/")):
        raise ValidationError("expected a path inside the work directory, such as `conf/app.ini`")


def target(path: str) -> None:
    """Accept the paths in a container at which something can be mounted."""
    _absolute_path(path)
    normal = normal_target(path)
    if normal == "/":
        raise ValidationError("nothing can be mounted on `/`")
    if normal == _TORK_DIRECTORY or normal.startswith(_TORK_DIRECTORY + "/"):
        raise ValidationError(f"`{_TORK_DIRECTORY}` is reserved; choose another path")


def source(path: str) -> None:
    """Accept absolute paths. The worker decides whether they may be mounted."""
    _absolute_path(path)


def normal_target(path: str) -> str:
    """Return the normalized path: `/a` for `//a/` and `/b/../a`."""
    return posixpath.normpath("/" + path.lstrip("/"))


def _absolute_path(path: str) -> None:
    if not _PATH.fullmatch(path):
        raise ValidationError("only letters, digits, spaces, `-`, `/`, `.`, `_` and `=` are allowed")
    if not path.startswith("/"):
        raise ValidationError("expected an absolute path, such as `/data`")


def _convert_error(check: Callable[[str], object], text: str) -> None:
    """Run a check that raises ValueError."""
    try:
        check(text)
    except ValueError as error:
        raise ValidationError(str(error)) from None
