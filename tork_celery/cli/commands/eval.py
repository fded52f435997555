"""The command `tork-celery eval`."""

import json
import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from tork_celery import expr, jobfile
from tork_celery.cli.options import add_global_options
from tork_celery.domain.identifiers import unfit_character

_HOST = expr.HostFunctions(now=lambda: datetime.now(UTC), randbelow=secrets.randbelow)


@click.command("eval")
@click.argument("expression")
@click.option(
    "--context",
    "context_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A YAML or JSON file with the names that the expression can use.",
)
@add_global_options
def evaluate(expression: str, context_file: Path | None) -> None:
    """Evaluate an expression of a job file and print its value as JSON."""
    try:
        value = expr.evaluate_whole(expression, _read_context(context_file), _HOST)
    except expr.ExpressionError as error:
        raise click.ClickException(str(error)) from error
    try:
        text = json.dumps(value, ensure_ascii=False, default=expr.to_text, allow_nan=False)
    except ValueError as error:
        raise click.ClickException(
            "the value holds NaN or an infinity, which JSON does not have; string() makes a text of a number"
        ) from error
    click.echo(text if unfit_character(text) is None else json.dumps(json.loads(text)))


def _read_context(file: Path | None) -> dict[str, Any]:
    return {} if file is None else jobfile.read_mapping(file.read_bytes(), jobfile.media_type_of(file.name))
