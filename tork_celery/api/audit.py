"""The route of the audit log."""

from flask import Blueprint, request

from tork_celery.api import responses
from tork_celery.api.authentication import require_admin
from tork_celery.api.context import ApiContext
from tork_celery.api.request_parsing import parse_page
from tork_celery.domain.codec import Document
from tork_celery.services import audit


def routes(api: ApiContext) -> Blueprint:
    blueprint = Blueprint("audit", __name__)

    @blueprint.get("/audit")
    def get_audit() -> Document:
        require_admin()
        number, size = parse_page(request)
        audit_page = audit.page(api.services.database, number=number, size=size)
        return responses.page(audit_page, responses.audit_entry)

    return blueprint
