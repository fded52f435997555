"""Routes of the health, which probes ask for. They need no authentication."""

from collections.abc import Mapping
from http import HTTPStatus

from flask import Blueprint
from flask.typing import ResponseReturnValue

from tork_celery.api import responses
from tork_celery.api.context import ApiContext
from tork_celery.services import queries


def routes(api: ApiContext) -> Blueprint:
    blueprint = Blueprint("health", __name__)

    @blueprint.get("/health")
    def get_health() -> ResponseReturnValue:
        return _health(queries.unavailable_parts(api.services))

    @blueprint.get("/health/live")
    def get_liveness() -> ResponseReturnValue:
        return _health({})

    @blueprint.get("/health/ready")
    def get_readiness() -> ResponseReturnValue:
        return _health(queries.unavailable_datastore(api.services))

    return blueprint


def _health(down: Mapping[str, str]) -> ResponseReturnValue:
    return responses.health(down), HTTPStatus.SERVICE_UNAVAILABLE if down else HTTPStatus.OK
