"""`tork-celery validate FILE...`."""

from pathlib import Path

import click

from tork_celery import jobfile
from tork_celery.cli.exit_codes import ExitCode
from tork_celery.cli.job_files import JobSource, read_source
from tork_celery.cli.options import add_global_options, session
from tork_celery.domain.errors import BodyTooLarge, Fault, InvalidInput


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--shell", is_flag=True, help="For the shell runtime, where tasks have no image.")
@add_global_options
def validate(files: tuple[Path, ...], *, shell: bool) -> int:
    """Check job files, without a server.

    Prints each fault as FILE:LINE:COLUMN: PATH: MESSAGE. `-` is stdin. Exits with 2 if a file has faults.
    """
    rows = [
        _row(source, fault)
        for file in files
        for source in [read_source(file)]
        for fault in faults(source, image_required=not shell)
    ]
    output = session().output
    if output.format == "table":
        for row in rows:
            click.echo(":".join(str(row[key]) for key in ("file", "line", "column") if key in row), nl=False)
            click.echo(": " + ": ".join(str(row[key]) for key in ("path", "message") if row.get(key)))
    else:
        output.rows(rows, columns={}, name="file")
    if not rows:
        session().say("no faults")
    return ExitCode.USAGE if rows else ExitCode.DONE


def faults(source: JobSource, *, image_required: bool) -> tuple[Fault, ...]:
    """Return the faults of a job file or, if it has the key `schedule`, of a scheduled job."""
    try:
        jobfile.parse_any(source.body, source.media_type, image_required=image_required)
    except InvalidInput as error:
        return error.faults
    except BodyTooLarge as error:
        return (Fault(path="", message=str(error)),)
    return ()


def _row(source: JobSource, fault: Fault) -> dict[str, object]:
    place = {} if fault.line is None else {"line": fault.line, "column": fault.column}
    return {"file": source.name, **place, "path": fault.path, "message": fault.message}
