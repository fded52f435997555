"""Routes of users."""

from flask import Blueprint

from tork_celery.api import responses
from tork_celery.api.authentication import current_actor, current_username, require_admin
from tork_celery.api.context import ApiContext
from tork_celery.api.request_parsing import parse_body
from tork_celery.api.user_schema import parse_user, parse_user_change
from tork_celery.domain.codec import Document
from tork_celery.domain.errors import Forbidden
from tork_celery.services import users


def routes(api: ApiContext) -> Blueprint:
    blueprint = Blueprint("users", __name__)

    @blueprint.post("/users")
    def add_user() -> Document:
        require_admin()
        new = parse_body(api, parse_user)
        return responses.user(users.add(api.services.database, new, actor=current_actor()))

    @blueprint.get("/users")
    def get_users() -> list[Document]:
        require_admin()
        return [responses.user(user) for user in users.list_users(api.services.database)]

    @blueprint.put("/users/<name>")
    def change_user(name: str) -> Document:
        if api.authenticator is None:  # anybody could prepare an account of an admin
            raise Forbidden("without authentication, change users with `tork-celery users`")
        change = parse_body(api, parse_user_change)
        if change.needs_admin or current_username() != name:
            require_admin()
        user, key = users.change(api.services.database, name, change, actor=current_actor())
        return responses.user(user, key=key)

    return blueprint
