"""The web pages at /ui. A page parses the request, calls services and renders a template."""

from tork_celery.web.app import add_pages

__all__ = ["add_pages"]
