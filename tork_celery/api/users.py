"""Users: add one."""

from flask import Blueprint

from tork_celery import spec
from tork_celery.api import documents
from tork_celery.api.context import Api
from tork_celery.api.requests import submitted
from tork_celery.domain.codec import Document
from tork_celery.services import users


def routes(api: Api) -> Blueprint:
    blueprint = Blueprint("users", __name__)

    @blueprint.post("/users")
    def add_user() -> Document:
        new = submitted(api, spec.parse_user)
        return documents.user(users.add(api.coordinator.database, new))

    return blueprint
