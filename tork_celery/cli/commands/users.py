"""`tork-celery users`: add and change the users of the API."""

import sys

import click

from tork_celery.cli.local_datastore import local_actor, local_datastore
from tork_celery.cli.options import add_global_options
from tork_celery.domain.user import NewUser
from tork_celery.services import users as service


@click.group()
@add_global_options
def users() -> None:
    """Add and change the users of the API."""


@users.command()
@click.argument("username")
@click.option("--name", help="Display name.  [default: USERNAME]")
@click.option(
    "--role",
    "roles",
    multiple=True,
    help="Role of the user; repeatable. `admin` sees and controls every job.",
)
@add_global_options
def add(username: str, name: str | None, roles: tuple[str, ...]) -> None:
    """Add a user. Prompts for the password, or reads it from the first line of stdin."""
    with local_datastore() as database:
        new = NewUser(username=username, name=name, password=_password())
        service.add(database, new, roles=roles, actor=local_actor())
    click.echo(f"added the user {username}")


@users.command()
@click.argument("username")
@add_global_options
def password(username: str) -> None:
    """Set a user's password. Prompts for it, or reads it from the first line of stdin."""
    with local_datastore() as database:
        service.set_password(database, username, _password(), actor=local_actor())
    click.echo(f"changed the password of {username}")


@users.command()
@click.argument("username")
@add_global_options
def key(username: str) -> None:
    """Create a key for a user and print it. It replaces an earlier key and is not shown again."""
    with local_datastore() as database:
        click.echo(service.new_key(database, username, actor=local_actor()))


@users.command()
@click.argument("username")
@click.argument("role")
@click.option("--remove", is_flag=True, help="Remove the role instead.")
@add_global_options
def role(username: str, role: str, *, remove: bool) -> None:
    """Add a role to a user, or remove it."""
    with local_datastore() as database:
        service.set_role(database, username, role, granted=not remove, actor=local_actor())
    click.echo(
        f"removed the role {role} from {username}" if remove else f"added the role {role} to {username}"
    )


@users.command()
@click.argument("username")
@add_global_options
def disable(username: str) -> None:
    """Deny a user access to the API. The user's jobs stay."""
    with local_datastore() as database:
        service.set_disabled(database, username, disabled=True, actor=local_actor())
    click.echo(f"disabled the user {username}")


@users.command()
@click.argument("username")
@add_global_options
def enable(username: str) -> None:
    """Allow a disabled user to use the API again."""
    with local_datastore() as database:
        service.set_disabled(database, username, disabled=False, actor=local_actor())
    click.echo(f"enabled the user {username}")


@users.command("list")
@add_global_options
def list_() -> None:
    """List the users with their roles."""
    with local_datastore() as database:
        for user in service.list_users(database):
            marks = [*sorted(user.roles), *(["(disabled)"] if user.disabled else [])]
            click.echo(" ".join([user.username, *marks]))


def _password() -> str:
    """Read a password. Never from arguments: other users of this machine can see them."""
    if sys.stdin.isatty():
        return str(click.prompt("Password", hide_input=True, confirmation_prompt=True, type=str))
    return sys.stdin.readline().removesuffix("\n").removesuffix("\r")
