"""The options `--input`, `--inputs` and `--secret` of commands that submit jobs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from tork_celery import jobfile

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class JobValues:
    """Inputs and secrets for a job, beside those of its file."""

    inputs: dict[str, str]
    secrets: dict[str, str]


def add_value_options(command: F) -> F:
    """Add the options to a command, which passes them to `read_values`."""
    for option in (
        click.option("--secret", "secrets", multiple=True, metavar="KEY[=VALUE]", help=_SECRET_HELP),
        click.option(
            "--inputs",
            "inputs_file",
            type=click.Path(exists=True, dir_okay=False, path_type=Path),
            help="A YAML or JSON file with inputs.",
        ),
        click.option(
            "--input", "inputs", multiple=True, metavar="KEY=VALUE", help="An input of the job; repeatable."
        ),
    ):
        command = option(command)
    return command


def read_values(inputs: Sequence[str], inputs_file: Path | None, secrets: Sequence[str]) -> JobValues:
    """Return the values of the options. Asks for secrets without a value. Raises InvalidInput for a file that
    is no mapping, and click.UsageError for an input without a value."""
    return JobValues(
        inputs=_of_file(inputs_file) | dict(_pair(text) for text in inputs),
        secrets=dict(_secret(text) for text in secrets),
    )


_SECRET_HELP = "A secret of the job; repeatable. Without a value it is asked for."  # noqa: S105  a help text


def _of_file(file: Path | None) -> dict[str, str]:
    if file is None:
        return {}
    values = jobfile.read_mapping(file.read_bytes(), jobfile.media_type_of(file.name))
    return {key: value if isinstance(value, str) else str(value) for key, value in values.items()}


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise click.UsageError(f"--input {text}: write it as KEY=VALUE, such as --input size=3")
    return key, value


def _secret(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if equals:
        return key, value
    return key, str(click.prompt(f"Secret {key}", hide_input=True, err=True, type=str))
