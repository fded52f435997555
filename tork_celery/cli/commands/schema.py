"""`tork-celery schema`."""

import json

import click

from tork_celery.cli.options import add_global_options
from tork_celery.jobfile import json_schema


@click.command()
@add_global_options
def schema() -> None:
    """Print the JSON Schema of job files, for completion and checks in editors."""
    click.echo(json.dumps(json_schema.of_job(), indent=2, ensure_ascii=False))
