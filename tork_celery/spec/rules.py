"""What a value of the right type must be, too. Each rule raises marshmallow's `ValidationError`."""

import posixpath
import re
from collections.abc import Callable

from marshmallow import ValidationError

from tork_celery.domain import durations, quantities, queues

LONGEST_NAME = 256
_VAR = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_TARGET = re.compile(r"[-/.0-9a-zA-Z_= ]+", re.ASCII)
_TORK_DIRECTORY = "/tork"


def not_empty(text: str) -> None:
    if not text:
        raise ValidationError("must not be empty")


def duration(text: str) -> None:
    """Any duration but 0."""
    if not _no_value_error(durations.nanoseconds, text):
        raise ValidationError("must be longer than 0")


def cpus(text: str) -> None:
    _no_value_error(quantities.nano_cpus, text)


def memory(text: str) -> None:
    _no_value_error(quantities.memory_bytes, text)


def queue(name: str) -> None:
    try:
        queues.check(name)
    except ValueError as error:
        raise ValidationError(str(error)) from error


def var(name: str) -> None:
    if not _VAR.fullmatch(name):
        raise ValidationError("must be a name of letters, digits and `_` that does not start with a digit")


def env_name(name: str) -> None:
    if not name or "=" in name:
        raise ValidationError("the name of an environment variable is not empty and has no `=`")


def file_name(name: str) -> None:
    """A path that stays in the work directory, and is written in one way only."""
    if {"", ".", ".."} & set(name.split("/")):
        raise ValidationError("expected a path inside of the work directory, such as `conf/app.ini`")


def target(path: str) -> None:
    """Where a mount may appear in a container."""
    if not _TARGET.fullmatch(path):
        raise ValidationError("may hold letters, digits, spaces, `-`, `/`, `.`, `_` and `=` only")
    if not path.startswith("/"):
        raise ValidationError("expected an absolute path, such as `/data`")
    normal = normal_target(path)
    if normal == "/":
        raise ValidationError("nothing can be mounted on `/`")
    if normal == _TORK_DIRECTORY or normal.startswith(_TORK_DIRECTORY + "/"):
        raise ValidationError(f"`{_TORK_DIRECTORY}` is the system's own; choose another path")


def normal_target(path: str) -> str:
    """`/a`, `//a/` and `/b/../a` are one place."""
    return posixpath.normpath("/" + path.lstrip("/"))


def _no_value_error(function: Callable[[str], int], text: str) -> int:
    try:
        return function(text)
    except ValueError as error:
        raise ValidationError(str(error)) from None
