"""Routes of users."""

from flask import Blueprint

from tork_celery.api import responses
from tork_celery.api.context import ApiContext
from tork_celery.api.request_parsing import parse_body
from tork_celery.api.user_schema import parse_user
from tork_celery.domain.codec import Document
from tork_celery.services import users


def routes(api: ApiContext) -> Blueprint:
    blueprint = Blueprint("users", __name__)

    @blueprint.post("/users")
    def add_user() -> Document:
        new = parse_body(api, parse_user)
        return responses.user(users.add(api.services.database, new))

    return blueprint
