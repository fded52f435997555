"""`tork-celery submit FILE...`."""

from pathlib import Path

import click

from tork_celery.cli.job_files import read_source
from tork_celery.cli.job_values import add_value_options, read_values
from tork_celery.cli.options import add_global_options, session
from tork_celery.cli.submission import submit as submit_file


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@add_value_options
@add_global_options
def submit(
    files: tuple[Path, ...], inputs: tuple[str, ...], inputs_file: Path | None, secrets: tuple[str, ...]
) -> None:
    """Submit job files and print the ids of the jobs, one a line. `-` is stdin."""
    values = read_values(inputs, inputs_file, secrets)
    sources = [read_source(file) for file in files]
    for source in sources:
        done = submit_file(session().client, source, inputs=values.inputs, secrets=values.secrets)
        document = {"id": done.job_id, "name": done.name, "file": source.name}
        session().output.document(document, plain=done.job_id)
