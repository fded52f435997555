"""How the system is: nodes, queues, metrics, health."""

from http import HTTPStatus

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from tork_celery.api import documents, prometheus
from tork_celery.api.context import Api
from tork_celery.domain.codec import Document
from tork_celery.services import control, view


def routes(api: Api) -> Blueprint:
    blueprint = Blueprint("system", __name__)

    @blueprint.get("/nodes")
    def get_nodes() -> list[Document]:
        return [documents.node(found) for found in view.active_nodes(api.coordinator)]

    @blueprint.get("/queues")
    def get_queues() -> list[Document]:
        return [documents.queue(found) for found in view.queues(api.coordinator)]

    @blueprint.get("/queues/<name>")
    def get_queue(name: str) -> Document:
        return documents.queue(view.queue(api.coordinator, name))

    @blueprint.delete("/queues/<name>")
    def empty_queue(name: str) -> Document:
        control.empty_queue(api.coordinator, name)
        return documents.OK

    @blueprint.get("/metrics")
    def get_metrics() -> ResponseReturnValue:
        found = view.metrics(api.coordinator)
        if not prometheus.is_wanted(request.accept_mimetypes.values()):
            return documents.metrics(found)
        text, media_type = prometheus.exposition(found, accept=request.headers["Accept"])
        return text, {"Content-Type": media_type}

    @blueprint.get("/health")
    def get_health() -> ResponseReturnValue:
        faults = view.faults(api.coordinator)
        if not faults:
            return {"status": "UP"}
        return {"status": "DOWN", "down": faults}, HTTPStatus.SERVICE_UNAVAILABLE

    return blueprint
