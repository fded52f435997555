"""Entry point of `celery -A tork_celery`, and of the Celery workers of standalone mode.

Invalid settings are reported here in one line, before Celery's configuration reads them.
"""

import importlib
import sys

from celery.bin.celery import celery

from tork_celery import settings
from tork_celery.domain.errors import ConfigurationError
from tork_celery.tasks.app import app

__all__ = ["app"]

try:
    settings.load()
except ConfigurationError as error:
    sys.exit(f"Error: {error}")


def main() -> None:
    """Run a command of Celery with our app, as `celery -A tork_celery` does.

    `celery -A` imports the app with the working directory first on the path. With `python -P`, this function
    imports nothing from there: Celery finds all modules that it would look for already imported.
    """
    for module in ("celery.loaders.app", "tork_celery.celeryconfig"):
        importlib.import_module(module)
    for module in app.conf.imports:
        importlib.import_module(module)
    celery.params[0].default = app  # of -A
    celery(auto_envvar_prefix="CELERY")


if __name__ == "__main__":
    main()
