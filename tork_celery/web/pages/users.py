"""The list of users, for admins."""

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from tork_celery.api.authentication import current_actor, require_admin
from tork_celery.api.context import ApiContext
from tork_celery.domain.errors import Forbidden
from tork_celery.domain.user import NewUser, UserChange
from tork_celery.services import users
from tork_celery.web import notices


def add_routes(pages: Blueprint, api: ApiContext) -> None:
    @pages.get("/users")
    def list_users() -> ResponseReturnValue:
        _check(api)
        return render_template("users.html", users=users.list_users(api.services.database))

    @pages.post("/users")
    def add_user() -> ResponseReturnValue:
        _check(api)
        new = NewUser(
            username=request.form.get("username", ""),
            password=request.form.get("password", ""),
            name=request.form.get("name") or None,
        )
        roles = request.form.get("roles", "").replace(",", " ").split()
        users.add(api.services.database, new, roles=roles, actor=current_actor())
        return notices.redirect_with(f"{new.username} was added.")

    @pages.post("/users/<name>")
    def change_user(name: str) -> ResponseReturnValue:
        _check(api)
        disabled = {"disable": True, "enable": False}.get(request.form.get("action", ""))
        password = request.form.get("password") or None
        change = UserChange(password=password, disabled=disabled)
        users.change(api.services.database, name, change, actor=current_actor())
        return notices.redirect_with(f"{name} was changed.")


def _check(api: ApiContext) -> None:
    """Raise Forbidden unless an admin asks. Without authentication anybody could prepare an account."""
    if api.authenticator is None:
        raise Forbidden("authentication is off; manage users with `tork-celery users`")
    require_admin()
