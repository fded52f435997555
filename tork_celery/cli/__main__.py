"""Run `tork-celery` by `python -m tork_celery.cli`."""

from tork_celery.cli.main import main

main()
