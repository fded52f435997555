"""`tork-celery reproduce TASK`."""

import os
import subprocess

import click

from tork_celery.cli import ids
from tork_celery.cli.options import add_global_options, session
from tork_celery.cli.reproduction import reproduction


@click.command()
@click.argument("task_id", metavar="TASK")
@click.option("--step", help="The step: its name, or its number, from 0.  [default: the main step]")
@click.option("--print", "printed", is_flag=True, help="Print the shell script.  [default]")
@click.option("--shell", is_flag=True, help="Open a shell in the container instead.")
@add_global_options
def reproduce(task_id: str, step: str | None, *, printed: bool, shell: bool) -> int:
    """Print the `docker run` that repeats a step of a task on this machine, or open a shell in its container.

    The script asks for the values of secrets, which the API does not show. Volumes are new and empty.
    """
    if printed and shell:
        raise click.UsageError("--print or --shell, not both")
    client = session().client
    task = client.get("tasks", ids.task_id(client, task_id))
    found = reproduction(task, step)
    if not shell:
        click.echo(found.whole_script())
        return 0
    answers = {name: click.prompt(name, hide_input=True, err=True, type=str) for name in found.secrets}
    script = found.script(interactive=True)
    return subprocess.run(["/bin/sh", "-c", script], env={**os.environ, **answers}, check=False).returncode  # noqa: S603  the script that the user asked for
