"""The Celery app, and the check of its broker."""

from celery import Celery

from tork_celery.dispatch.dispatcher import Dispatcher


def build_celery_app() -> Celery:
    """Return the Celery app, configured by `tork_celery.celeryconfig`.

    The dotted path matters: a plain `celeryconfig` in the working directory would be loaded instead.
    """
    return Celery(
        "tork_celery",
        amqp="tork_celery.dispatch.queue_declarations:TaskAMQP",
        config_source="tork_celery.celeryconfig",
        set_as_current=False,
    )


def check_broker() -> None:
    """Raise ConfigurationError if the broker answers but refuses access."""
    Dispatcher(build_celery_app()).check_access()
