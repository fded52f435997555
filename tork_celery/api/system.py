"""Routes of nodes, queues, metrics and settings."""

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from tork_celery.api import prometheus, responses
from tork_celery.api.authentication import current_actor, require_admin
from tork_celery.api.context import ApiContext
from tork_celery.domain.codec import Document
from tork_celery.services import queries, queues


def routes(api: ApiContext) -> Blueprint:
    blueprint = Blueprint("system", __name__)

    @blueprint.get("/nodes")
    def get_nodes() -> list[Document]:
        return [responses.node(node) for node in queries.active_nodes(api.services)]

    @blueprint.get("/queues")
    def get_queues() -> list[Document]:
        return [responses.queue(queue) for queue in queues.list_queues(api.services)]

    @blueprint.get("/queues/<name>")
    def get_queue(name: str) -> Document:
        return responses.queue(queues.get(api.services, name))

    @blueprint.delete("/queues/<name>")
    def purge_queue(name: str) -> Document:
        queues.purge(api.services, name, actor=current_actor())
        return responses.OK

    @blueprint.get("/metrics")
    def get_metrics() -> ResponseReturnValue:
        metrics = queries.metrics(api.services)
        if not prometheus.is_preferred(request.accept_mimetypes.values()):
            return responses.metrics(metrics)
        text, media_type = prometheus.exposition(metrics, accept=request.headers["Accept"])
        return text, {"Content-Type": media_type}

    @blueprint.get("/config")
    def get_config() -> list[Document]:
        require_admin()
        return [responses.setting(each) for each in api.settings]

    return blueprint
