"""The API's description of itself, with the JSON Schema of job files, and their check."""

import base64
import hashlib
import re
from importlib.resources import files

from flask import Blueprint, Response

from tork_celery.api import openapi, responses
from tork_celery.api.context import ApiContext
from tork_celery.api.request_parsing import parse_faults
from tork_celery.domain.codec import Document
from tork_celery.jobfile import json_schema


def routes(api: ApiContext) -> Blueprint:
    blueprint = Blueprint("meta", __name__)
    page = (files("tork_celery.api") / "docs.html").read_text("utf-8")
    page_policy = _policy_of(page)

    @blueprint.get("/openapi.json")
    def get_description() -> Document:
        return openapi.description(api.version, image_required=api.image_required)

    @blueprint.get("/schema/job.json")
    def get_job_schema() -> Document:
        return json_schema.of_job(image_required=api.image_required)

    @blueprint.post("/validate")
    def validate() -> Document:
        return responses.faults(parse_faults(api))

    @blueprint.get("/docs")
    def get_docs() -> Response:
        response = Response(page, content_type="text/html; charset=utf-8")
        response.headers["Content-Security-Policy"] = page_policy
        return response

    return blueprint


def _policy_of(page: str) -> str:
    """Return a Content-Security-Policy that allows exactly the script and the style inside the page."""
    hashes = {
        element: base64.b64encode(hashlib.sha256(found[1].encode()).digest()).decode()
        for element in ("script", "style")
        if (found := re.search(rf"<{element}>(.*?)</{element}>", page, re.DOTALL))
    }
    return (
        f"default-src 'none'; script-src 'sha256-{hashes['script']}'; style-src 'sha256-{hashes['style']}'; "
        "connect-src 'self'; frame-ancestors 'none'"
    )
