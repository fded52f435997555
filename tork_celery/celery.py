"""Where `celery -A tork_celery` looks for the app. A setting that is wrong is said here, in one line, before
Celery's own configuration reads the settings."""

import sys

from tork_celery import settings
from tork_celery.domain.errors import ConfigurationError
from tork_celery.tasks.app import app

__all__ = ["app"]

try:
    settings.load()
except ConfigurationError as error:
    sys.exit(f"Error: {error}")
