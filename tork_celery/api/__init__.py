"""The REST API. A view parses the request, calls one service and returns a document."""

from tork_celery.api.app import create_app

__all__ = ["create_app"]
