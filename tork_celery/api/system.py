"""How the system is: nodes, queues, health."""

from http import HTTPStatus

from flask import Blueprint
from flask.typing import ResponseReturnValue

from tork_celery.api import documents
from tork_celery.api.context import Api
from tork_celery.domain.document import Document
from tork_celery.services import view


def routes(api: Api) -> Blueprint:
    blueprint = Blueprint("system", __name__)

    @blueprint.get("/nodes")
    def get_nodes() -> list[Document]:
        return [documents.node(found) for found in view.active_nodes(api.coordinator)]

    @blueprint.get("/queues")
    def get_queues() -> list[Document]:
        return [documents.queue(found) for found in view.queues(api.coordinator)]

    @blueprint.get("/health")
    def get_health() -> ResponseReturnValue:
        faults = view.faults(api.coordinator)
        if not faults:
            return {"status": "UP"}
        return {"status": "DOWN", "down": faults}, HTTPStatus.SERVICE_UNAVAILABLE

    return blueprint
