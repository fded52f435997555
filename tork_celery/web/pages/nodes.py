"""The list of nodes."""

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from tork_celery.api.context import ApiContext
from tork_celery.services import queries


def add_routes(pages: Blueprint, api: ApiContext) -> None:
    @pages.get("/nodes")
    def list_nodes() -> ResponseReturnValue:
        return render_template("nodes.html", nodes=queries.active_nodes(api.services))
