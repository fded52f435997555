"""Where `celery -A tork_celery` looks for the app."""

from tork_celery.tasks.app import app

__all__ = ["app"]
