"""The list of queues."""

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from tork_celery.api.authentication import current_actor
from tork_celery.api.context import ApiContext
from tork_celery.services import queries, queues
from tork_celery.web import notices


def add_routes(pages: Blueprint, api: ApiContext) -> None:
    @pages.get("/queues")
    def list_queues() -> ResponseReturnValue:
        nodes = queries.active_nodes(api.services)
        rows = [
            (queue, [view for view in nodes if queue.name in view.node.queues])
            for queue in queues.list_queues(api.services)
        ]
        return render_template("queues.html", rows=rows)

    @pages.post("/queues/<name>/purge")
    def purge_queue(name: str) -> ResponseReturnValue:
        queues.purge(api.services, name, actor=current_actor())
        return notices.redirect_with(
            f"The messages of {name} were removed. Its waiting tasks are sent again."
        )
