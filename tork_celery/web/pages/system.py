"""The page of the system: health, load, versions, and the own password and key."""

import platform

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from tork_celery.api.authentication import current_actor, current_user
from tork_celery.api.context import ApiContext
from tork_celery.domain.errors import Forbidden
from tork_celery.domain.user import User, UserChange
from tork_celery.services import queries, users
from tork_celery.web import notices, session_cookie


def add_routes(pages: Blueprint, api: ApiContext) -> None:
    @pages.get("/system")
    def show_system() -> ResponseReturnValue:
        return _page(api)

    @pages.post("/system/password")
    def change_own_password() -> ResponseReturnValue:
        user = _signed_in()
        changed, _ = users.change(
            api.services.database,
            user.username,
            UserChange(password=request.form.get("password", "")),
            actor=current_actor(),
        )
        response = notices.redirect_with("Your password was changed. Your other sessions have ended.")
        return session_cookie.store(response, changed)

    @pages.post("/system/key")
    def create_own_key() -> ResponseReturnValue:
        key = users.new_key(api.services.database, _signed_in().username, actor=current_actor())
        return _page(api, new_key=key)


def _page(api: ApiContext, *, new_key: str | None = None) -> str:
    return render_template(
        "system.html",
        down=queries.unavailable_parts(api.services),
        metrics=queries.metrics(api.services),
        python=platform.python_version(),
        new_key=new_key,
    )


def _signed_in() -> User:
    user = current_user()
    if user is None:
        raise Forbidden("authentication is off; there is no user to change")
    return user
