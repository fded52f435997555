"""What a value of the right type must be, too. Each rule raises marshmallow's `ValidationError`."""

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
    """Any duration but 0."""
    _no_value_error(durations.positive_seconds, text)


def cpus(text: str) -> None:
    _no_value_error(quantities.nano_cpus, text)


def memory(text: str) -> None:
    _no_value_error(quantities.memory_bytes, text)


def size(text: str) -> None:
    _no_value_error(quantities.size_bytes, text)


def file_mode(text: str) -> None:
    """The mode of a directory, in octal."""
    if not _MODE.fullmatch(text):
        raise ValidationError("expected an octal number, such as 1777")


def gpus(text: str) -> None:
    """As Docker's `--gpus` takes them."""
    if not _GPUS.fullmatch(text):
        raise ValidationError("expected `all`, a number, or `device=0,1`")


def network(name: str) -> None:
    """A network that the engine has; never the machine's own."""
    if not _NETWORK.fullmatch(name):
        raise ValidationError("may hold letters, digits, `_`, `.` and `-` only")
    if name in ("host", "none"):
        raise ValidationError(f"`{name}` is no network that a task can join")


def url(text: str) -> None:
    if not webhooks.is_url(text):
        raise ValidationError("expected a URL that begins with http:// or https://")


def url_path(text: str) -> None:
    if not _URL_PATH.fullmatch(text):
        raise ValidationError("expected a path such as `/health`")


def header_name(name: str) -> None:
    if not _HEADER.fullmatch(name):
        raise ValidationError("is not the name of an HTTP header")


def queue(name: str) -> None:
    _no_value_error(queue_names.check, name)


def cron_expression(text: str) -> None:
    _no_value_error(cron.check, text)


def user_name(name: str) -> None:
    _no_value_error(user.check_name, name)


def identifier(name: str) -> None:
    _no_value_error(identifiers.check_identifier, name)


def env_name(name: str) -> None:
    if not name or "=" in name:
        raise ValidationError("the name of an environment variable is not empty and has no `=`")


def file_name(name: str) -> None:
    """A path that stays in the work directory, and is written in one way only."""
    if {"", ".", ".."} & set(name.split("/")):
        raise ValidationError("expected a path inside of the work directory, such as `conf/app.ini`")


def target(path: str) -> None:
    """Where a mount may appear in a container."""
    _absolute_path(path)
    normal = normal_target(path)
    if normal == "/":
        raise ValidationError("nothing can be mounted on `/`")
    if normal == _TORK_DIRECTORY or normal.startswith(_TORK_DIRECTORY + "/"):
        raise ValidationError(f"`{_TORK_DIRECTORY}` is the system's own; choose another path")


def source(path: str) -> None:
    """A path on the machine of the worker; whether it is allowed is the worker's to say."""
    _absolute_path(path)


def normal_target(path: str) -> str:
    """`/a`, `//a/` and `/b/../a` are one place."""
    return posixpath.normpath("/" + path.lstrip("/"))


def _absolute_path(path: str) -> None:
    if not _PATH.fullmatch(path):
        raise ValidationError("may hold letters, digits, spaces, `-`, `/`, `.`, `_` and `=` only")
    if not path.startswith("/"):
        raise ValidationError("expected an absolute path, such as `/data`")


def _no_value_error(check: Callable[[str], object], text: str) -> None:
    try:
        check(text)
    except ValueError as error:
        raise ValidationError(str(error)) from None
