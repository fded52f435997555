"""How the system is: nodes, queues, metrics, health."""

from http import HTTPStatus

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from tork_celery.api import prometheus, responses
from tork_celery.api.context import Api
from tork_celery.domain.codec import Document
from tork_celery.services import job_control, queries


def routes(api: Api) -> Blueprint:
    blueprint = Blueprint("system", __name__)

    @blueprint.get("/nodes")
    def get_nodes() -> list[Document]:
        return [responses.node(found) for found in queries.active_nodes(api.coordinator)]

    @blueprint.get("/queues")
    def get_queues() -> list[Document]:
        return [responses.queue(found) for found in queries.queues(api.coordinator)]

    @blueprint.get("/queues/<name>")
    def get_queue(name: str) -> Document:
        return responses.queue(queries.queue(api.coordinator, name))

    @blueprint.delete("/queues/<name>")
    def empty_queue(name: str) -> Document:
        job_control.empty_queue(api.coordinator, name)
        return responses.OK

    @blueprint.get("/metrics")
    def get_metrics() -> ResponseReturnValue:
        found = queries.metrics(api.coordinator)
        if not prometheus.is_wanted(request.accept_mimetypes.values()):
            return responses.metrics(found)
        text, media_type = prometheus.exposition(found, accept=request.headers["Accept"])
        return text, {"Content-Type": media_type}

    @blueprint.get("/health")
    def get_health() -> ResponseReturnValue:
        faults = queries.faults(api.coordinator)
        if not faults:
            return {"status": "UP"}
        return {"status": "DOWN", "down": faults}, HTTPStatus.SERVICE_UNAVAILABLE

    return blueprint
