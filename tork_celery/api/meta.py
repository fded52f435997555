"""The API's description of itself: OpenAPI, the JSON Schema of job files, and a page to read."""

from importlib.resources import files

from flask import Blueprint, Response

from tork_celery.api import openapi
from tork_celery.api.context import ApiContext
from tork_celery.domain.codec import Document
from tork_celery.jobfile import json_schema


def routes(api: ApiContext) -> Blueprint:
    blueprint = Blueprint("meta", __name__)
    page = (files("tork_celery.api") / "docs.html").read_text("utf-8")

    @blueprint.get("/openapi.json")
    def get_description() -> Document:
        return openapi.description(api.version, image_required=api.image_required)

    @blueprint.get("/schema/job.json")
    def get_job_schema() -> Document:
        return json_schema.of_job(image_required=api.image_required)

    @blueprint.get("/docs")
    def get_docs() -> Response:
        return Response(page, content_type="text/html; charset=utf-8")

    return blueprint
