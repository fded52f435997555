"""`tork-celery cancel`, `restart` and `rm`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from tork_celery.cli import exit_codes, ids
from tork_celery.cli.exit_codes import ExitCode
from tork_celery.cli.options import add_global_options, session
from tork_celery.cli.queries import add_query_option
from tork_celery.domain.errors import NotFound, WrongState

F = TypeVar("F", bound=Callable[..., Any])


def _of_jobs(command: F) -> F:
    """Add the arguments and options that select jobs."""
    command = add_global_options(command)
    command = click.option("--yes", is_flag=True, help="Do not ask before acting on all jobs of a query.")(
        command
    )
    command = add_query_option(command)
    return click.argument("ids", nargs=-1)(command)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Action:
    """A change of a job: its verb, how messages report it, and the request."""

    verb: str
    done: str
    method: str
    path: tuple[str, ...] = ()


@click.command()
@_of_jobs
def cancel(ids: tuple[str, ...], query: str, *, yes: bool) -> int:
    """Cancel jobs, by id or all that match a query."""
    action = _Action(verb="cancel", done="cancelled", method="PUT", path=("cancel",))
    return _act(action, _selected(action, ids, query, yes=yes))


@click.command()
@_of_jobs
def restart(ids: tuple[str, ...], query: str, *, yes: bool) -> int:
    """Run failed or cancelled jobs on, by id or all that match a query."""
    action = _Action(verb="restart", done="restarted", method="PUT", path=("restart",))
    return _act(action, _selected(action, ids, query, yes=yes))


@click.command()
@_of_jobs
def rm(ids: tuple[str, ...], query: str, *, yes: bool) -> int:
    """Delete ended jobs with their logs, by id or all that match a query."""
    action = _Action(verb="delete", done="deleted", method="DELETE")
    return _act(action, _selected(action, ids, query, yes=yes))


def _act(action: _Action, texts: Sequence[str]) -> ExitCode:
    """Act on each job, and print the ids of those with success. Errors of single jobs stop nothing."""
    codes = []
    for text in texts:
        try:
            job_id = ids.job_id(session().client, text)
            session().client.act(action.method, "jobs", job_id, *action.path)
        except (NotFound, WrongState) as error:
            session().say(f"Error: {text}: {error}")
            codes.append(exit_codes.of_error(error))
        else:
            session().output.document({"id": job_id, "action": action.done}, plain=f"{action.done} {job_id}")
    return exit_codes.of_all(codes)


def _selected(action: _Action, texts: Sequence[str], query: str, *, yes: bool) -> Sequence[str]:
    """Return the ids to act on. Asks before it selects jobs by a query.

    Raises click.UsageError, and click.Abort for the answer no.
    """
    if bool(texts) == bool(query):
        raise click.UsageError(f"give the ids of the jobs to {action.verb}, or a query with -q")
    if texts:
        return texts
    found = [job["id"] for job in session().client.pages("jobs", q=query)]
    if found and not yes:
        click.confirm(f"{action.verb} {len(found)} jobs?", abort=True, err=True)
    return found
