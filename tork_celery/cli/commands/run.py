"""`tork-celery run FILE`: submit a job or a task and follow it."""

from pathlib import Path

import click

from tork_celery.cli import exit_codes
from tork_celery.cli.client import Document
from tork_celery.cli.exit_codes import ExitCode
from tork_celery.cli.follower import follow
from tork_celery.cli.job_files import read_source
from tork_celery.cli.job_values import add_value_options, read_values
from tork_celery.cli.options import add_global_options, session
from tork_celery.cli.run_reports import Reporter, make_reporter
from tork_celery.cli.submission import Submitted, submit
from tork_celery.cli.timeouts import Deadline, add_timeout_option

_STARTED = ("standalone", "coordinator", "worker")


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@add_value_options
@click.option("-d", "--detach", is_flag=True, help="Print the id of the job and do not wait for its end.")
@click.option("--quiet", is_flag=True, help="Print the result only.")
@add_timeout_option
@click.option("--cancel-on-interrupt", is_flag=True, help="Cancel the job on Ctrl-C, and wait for its end.")
@add_global_options
def run(
    file: Path,
    inputs: tuple[str, ...],
    inputs_file: Path | None,
    secrets: tuple[str, ...],
    timeout_s: float | None,
    *,
    detach: bool,
    quiet: bool,
    cancel_on_interrupt: bool,
) -> int:
    """Submit a job file, show the job's tasks and logs while it runs, and print its result.

    `-` is stdin. Ctrl-C leaves the job running. `run standalone`, `run coordinator` and `run worker` start
    these, as in Tork, unless a file has that name.
    """
    if str(file) in _STARTED and not file.exists():
        return _start(str(file))
    deadline = Deadline(timeout_s)
    values = read_values(inputs, inputs_file, secrets)
    submitted = submit(session().client, read_source(file), inputs=values.inputs, secrets=values.secrets)
    if detach:
        click.echo(submitted.job_id)
        return ExitCode.DONE
    reporter = make_reporter(quiet=quiet, color=session().color)
    try:
        job = _follow(submitted, deadline, reporter, cancel_on_interrupt=cancel_on_interrupt)
    except KeyboardInterrupt:
        session().say(f"the job goes on: {_how_to_return(submitted)}")
        return ExitCode.INTERRUPTED
    if job is None:
        click.echo(submitted.job_id)
        session().say(f"the job has not ended in time and goes on: {_how_to_return(submitted)}")
        return ExitCode.TIMED_OUT
    return _report(submitted, job)


def _start(command: str) -> int:
    """Run another command of ours. Its options are given to itself, not to `run`."""
    context = click.get_current_context()
    group = context.find_root().command
    if not isinstance(group, click.Group) or (found := group.get_command(context, command)) is None:
        raise click.UsageError(f"no command {command}")
    result = found.main(args=[], prog_name=f"tork-celery {command}", standalone_mode=False)
    return result if isinstance(result, int) else ExitCode.DONE


def _follow(
    submitted: Submitted, deadline: Deadline, reporter: Reporter, *, cancel_on_interrupt: bool
) -> Document | None:
    """Return the job when it has ended; None if the deadline passes first. Raises KeyboardInterrupt."""

    def to_end() -> Document | None:
        return follow(
            session().client,
            submitted.job_id,
            deadline,
            show=reporter.show,
            say=reporter.say,
            logs=not reporter.quiet,
        )

    with reporter:
        try:
            return to_end()
        except KeyboardInterrupt:
            if not cancel_on_interrupt:
                raise
            reporter.say("cancelling the job")
            session().client.act("PUT", "jobs", submitted.job_id, "cancel")
            return to_end()


def _how_to_return(submitted: Submitted) -> str:
    job_id = submitted.job_id
    return f"`tork-celery logs -f {job_id}` follows it, `tork-celery cancel {job_id}` cancels it"


def _report(submitted: Submitted, job: Document) -> ExitCode:
    """Print the result of the ended job, or its error; return the exit code."""
    code = exit_codes.of_job(job["state"])
    if session().format != "table":
        session().output.document(job)
    if code is not ExitCode.DONE:
        session().say(f"{job['state']}: {job.get('error', '')}".rstrip(": "))
        return code
    result = job["execution"][-1].get("result") if submitted.task_id else job.get("result")
    if result and session().format == "table":
        click.echo(result, nl=not result.endswith("\n"))
    return code
