"""A Celery worker of standalone mode, started without Celery's command line.

It is what `celery -A tork_celery worker` starts. The imports of that command, a shell among them, would take
12 MB of memory and a fifth of a second in each process.
"""

import argparse
import sys

from tork_celery import log_config, settings
from tork_celery.domain.errors import ConfigurationError
from tork_celery.tasks.app import app


def main() -> None:
    """Run a worker until a signal stops it. The options are Celery's."""
    parser = argparse.ArgumentParser(prog="python -m tork_celery.tasks.worker_process")
    parser.add_argument("-Q", dest="queues", required=True, help="names of queues, separated by commas")
    parser.add_argument("-c", dest="concurrency", type=int, required=True, help="number of threads")
    options = parser.parse_args()
    try:
        config = settings.load()
    except ConfigurationError as error:
        sys.exit(f"Error: {error}")
    # Celery warns before it configures logging.
    log_config.configure(config.log_level, log_format=config.log_format, library_log=config.library_log)
    worker = app.Worker(
        queues=options.queues.split(","), concurrency=options.concurrency, loglevel="WARNING", quiet=True
    )
    worker.start()
    sys.exit(worker.exitcode)


if __name__ == "__main__":
    main()
