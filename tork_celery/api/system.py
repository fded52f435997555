"""How the system is: nodes, queues, metrics, health."""

from http import HTTPStatus

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from tork_celery.api import prometheus, responses
from tork_celery.api.context import ApiContext
from tork_celery.domain.codec import Document
from tork_celery.services import job_control, queries


def routes(api: ApiContext) -> Blueprint:
    blueprint = Blueprint("system", __name__)

    @blueprint.get("/nodes")
    def get_nodes() -> list[Document]:
        return [responses.node(found) for found in queries.active_nodes(api.services)]

    @blueprint.get("/queues")
    def get_queues() -> list[Document]:
        return [responses.queue(found) for found in queries.queues(api.services)]

    @blueprint.get("/queues/<name>")
    def get_queue(name: str) -> Document:
        return responses.queue(queries.queue(api.services, name))

    @blueprint.delete("/queues/<name>")
    def empty_queue(name: str) -> Document:
        job_control.empty_queue(api.services, name)
        return responses.OK

    @blueprint.get("/metrics")
    def get_metrics() -> ResponseReturnValue:
        found = queries.metrics(api.services)
        if not prometheus.is_wanted(request.accept_mimetypes.values()):
            return responses.metrics(found)
        text, media_type = prometheus.exposition(found, accept=request.headers["Accept"])
        return text, {"Content-Type": media_type}

    @blueprint.get("/health")
    def get_health() -> ResponseReturnValue:
        faults = queries.faults(api.services)
        if not faults:
            return {"status": "UP"}
        return {"status": "DOWN", "down": faults}, HTTPStatus.SERVICE_UNAVAILABLE

    return blueprint
