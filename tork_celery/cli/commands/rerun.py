"""`tork-celery rerun ID`."""

from pathlib import Path

import click
import yaml

from tork_celery import jobfile
from tork_celery.cli import ids
from tork_celery.cli.client import Document
from tork_celery.cli.job_values import add_value_options, read_values
from tork_celery.cli.options import add_global_options, session


@click.command()
@click.argument("job_id", metavar="ID")
@add_value_options
@click.option("--edit", is_flag=True, help="Change the job file in the editor ($EDITOR) before.")
@add_global_options
def rerun(
    job_id: str, inputs: tuple[str, ...], inputs_file: Path | None, secrets: tuple[str, ...], *, edit: bool
) -> None:
    """Make a new job of the file of a job, with other inputs and secrets on demand, and print its id."""
    client = session().client
    job_id = ids.job_id(client, job_id)
    values = read_values(inputs, inputs_file, secrets)
    change: Document = {}
    if values.inputs:
        change["inputs"] = values.inputs
    if values.secrets:
        change["secrets"] = values.secrets
    if edit:
        change["file"] = _edited(client.job(job_id))
    made = client.send_json("POST", "jobs", job_id, "rerun", document=change)
    session().output.document(made, plain=made["id"])


def _edited(job: Document) -> str:
    """Return the job file as the user leaves it. Raises click.Abort if it was not saved."""
    text = yaml.safe_dump(jobfile.file_of(job), sort_keys=False, allow_unicode=True)
    edited = click.edit(text, extension=".yaml")
    if edited is None:
        session().say("the file was not saved; no job was made")
        raise click.Abort
    return edited
