"""`tork-celery users`: who may use the API."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

from tork_celery import bootstrap, settings
from tork_celery.domain.user import NewUser
from tork_celery.services import users as service
from tork_celery.store import Database, schema_version


@click.group()
def users() -> None:
    """Add and change the users of the API."""


@users.command()
@click.argument("username")
@click.option("--name", help="For people.  [default: the user name]")
@click.option("--role", "roles", multiple=True, help="May be repeated; `admin` sees and controls every job.")
def add(username: str, name: str | None, roles: tuple[str, ...]) -> None:
    """Add a user. The password is asked for, or read from the first line of stdin."""
    with _database() as database:
        new = NewUser(username=username, name=name, password=_password())
        service.add(database, new, roles=roles)
    click.echo(f"added the user {username}")


@users.command()
@click.argument("username")
def password(username: str) -> None:
    """Set a user's password, which is asked for, or read from the first line of stdin."""
    with _database() as database:
        service.set_password(database, username, _password())
    click.echo(f"the password of {username} is changed")


@users.command()
@click.argument("username")
def key(username: str) -> None:
    """Make a key for a user, in the place of an earlier one, and print it. It is not shown again."""
    with _database() as database:
        click.echo(service.new_key(database, username))


@users.command()
@click.argument("username")
@click.argument("role")
@click.option("--remove", is_flag=True, help="Take the role away.")
def role(username: str, role: str, *, remove: bool) -> None:
    """Give a user a role, or take it away."""
    with _database() as database:
        service.set_role(database, username, role, given=not remove)
    click.echo(f"{username} {'has the role no more' if remove else 'has the role now'}: {role}")


@users.command()
@click.argument("username")
def disable(username: str) -> None:
    """Let a user in no more."""
    with _database() as database:
        service.set_disabled(database, username, disabled=True)
    click.echo(f"disabled the user {username}")


@users.command()
@click.argument("username")
def enable(username: str) -> None:
    """Let a user in again."""
    with _database() as database:
        service.set_disabled(database, username, disabled=False)
    click.echo(f"enabled the user {username}")


@users.command("list")
def list_() -> None:
    """List the users, each with the roles that it has."""
    with _database() as database:
        for user in service.everybody(database):
            marks = [*sorted(user.roles), *(["(disabled)"] if user.disabled else [])]
            click.echo(" ".join([user.username, *marks]))


@contextmanager
def _database() -> Iterator[Database]:
    database = bootstrap.database(settings.load())
    try:
        schema_version.check(database)
        yield database
    finally:
        database.close()


def _password() -> str:
    """Never from the arguments, which others on the machine can see."""
    if sys.stdin.isatty():
        return str(click.prompt("Password", hide_input=True, confirmation_prompt=True, type=str))
    return sys.stdin.readline().removesuffix("\n").removesuffix("\r")
