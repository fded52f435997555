"""Entry point of `celery -A tork_celery`.

Invalid settings are reported here in one line, before Celery's configuration reads them.
"""

import sys

from tork_celery import settings
from tork_celery.domain.errors import ConfigurationError
from tork_celery.tasks.app import app

__all__ = ["app"]

try:
    settings.load()
except ConfigurationError as error:
    sys.exit(f"Error: {error}")
