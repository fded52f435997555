"""The options that every command takes, before or after its name, and the session that they describe."""

import os
import sys
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from tork_celery.cli.client import Client
    from tork_celery.cli.output import Output

F = TypeVar("F", bound=Callable[..., Any])

DEFAULT_URL = "http://127.0.0.1:3000"
FORMATS = ("table", "json", "jsonl", "name")


class Session:
    """One run of the command line: the values of the global options, and what is built from them.

    Options win over the environment (TORK_URL, TORK_KEY, NO_COLOR).
    """

    def __init__(self) -> None:
        self.given: dict[str, Any] = {}

    @property
    def format(self) -> str:
        """How data is printed, one of FORMATS."""
        return str(self.given.get("output", "table"))

    @cached_property
    def client(self) -> "Client":
        """The client of the API. Raises InvalidInput for an invalid URL or key."""
        from tork_celery.cli.client import Client  # noqa: PLC0415  `version` needs no HTTP

        environment = dict(os.environ)
        if "key" in self.given:
            environment["TORK_KEY"] = self.given["key"]
        return Client(self.given.get("url") or os.environ.get("TORK_URL") or DEFAULT_URL, environment)

    @cached_property
    def output(self) -> "Output":
        from tork_celery.cli.output import Output  # noqa: PLC0415

        return Output(self.format, color=self.color)

    @property
    def color(self) -> bool:
        """Whether output on a terminal is coloured."""
        return "no_color" not in self.given and not os.environ.get("NO_COLOR")

    def say(self, message: str) -> None:
        """Print a message to stderr, where it does not mix with data."""
        sys.stdout.flush()
        click.echo(message, err=True)


def add_global_options(command: F) -> F:
    """Add the global options to a command or group."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def session() -> Session:
    """Return the session of the running command."""
    return click.get_current_context().find_root().ensure_object(Session)


def _store(context: click.Context, parameter: click.Parameter, value: Any) -> None:
    if value not in (None, False):
        context.find_root().ensure_object(Session).given[str(parameter.name)] = value


def _option(*names: str, **settings: Any) -> Callable[[F], F]:
    return click.option(*names, expose_value=False, callback=_store, **settings)


_OPTIONS = (
    _option("--url", metavar="URL", help=f"Address of the API.  [default: TORK_URL, else {DEFAULT_URL}]"),
    _option("--key", metavar="KEY", help="A user's key.  [default: TORK_KEY]"),
    _option("-o", "--output", type=click.Choice(FORMATS), help="How data is printed.  [default: table]"),
    _option("--no-color", is_flag=True, help="Print no colours, like NO_COLOR=1."),
)
