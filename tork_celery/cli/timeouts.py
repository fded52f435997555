"""The option `--timeout`, and the deadline that it sets."""

import time
from collections.abc import Callable
from typing import Any, TypeVar

import click

from tork_celery.domain import durations

F = TypeVar("F", bound=Callable[..., Any])


class Deadline:
    """The end of a wait, `within_s` seconds after the construction; None never comes."""

    def __init__(self, within_s: float | None) -> None:
        self._at = None if within_s is None else time.monotonic() + within_s

    @property
    def passed(self) -> bool:
        return self._at is not None and time.monotonic() >= self._at

    def at_most(self, pause_s: float) -> float:
        """Return the pause, or the shorter time that is left."""
        return pause_s if self._at is None else max(0.0, min(pause_s, self._at - time.monotonic()))


def add_timeout_option(command: F) -> F:
    """Add the option, which a command receives as `timeout_s`."""
    return click.option(
        "--timeout",
        "timeout_s",
        callback=_seconds,
        metavar="DURATION",
        help="Stop waiting after this time, such as 90s, and exit with 124. The job goes on.",
    )(command)


def _seconds(_context: click.Context, _parameter: click.Parameter, value: str | None) -> float | None:
    if value is None:
        return None
    try:
        return durations.seconds(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
