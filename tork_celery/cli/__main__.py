"""`python -m tork_celery.cli` is `tork-celery`."""

from tork_celery.cli.main import main

main()
