"""Celery's configuration is in `tork_celery/celeryconfig.py`; this module re-exports it.

Users of Celery look for the configuration here. The product loads it by its dotted path and does not install
this file: `celeryconfig` is Celery's default module name, so an installed one would shadow those of other
applications, and one in the working directory would replace ours.
"""

from tork_celery.celeryconfig import *  # noqa: F403
