"""Celery's signals: what a worker process does when it starts and when it stops."""

import os
import signal
import sys
import threading
from typing import Any

import structlog
from celery import signals
from celery.utils.nodenames import NODENAME_DEFAULT

from tork_celery import log_config, settings
from tork_celery.bootstrap.node_process import build_node_process
from tork_celery.dispatch.queue_declarations import declare
from tork_celery.domain import queue_names
from tork_celery.domain.errors import TorkError
from tork_celery.domain.queue_names import DEFAULT_QUEUE
from tork_celery.settings import ShutdownPolicy
from tork_celery.tasks.app import app, current_process
from tork_celery.tasks.consumer import silence_outages

log = structlog.get_logger(__name__)


@signals.setup_logging.connect
def configure_logging(**_: Any) -> None:
    """Log Celery's records like our own."""
    config = settings.load()
    log_config.configure(config.log_level, log_format=config.log_format, library_log=config.library_log)
    silence_outages()


@signals.celeryd_init.connect
def set_node_name(instance: Any, options: dict[str, Any], **_: Any) -> None:
    """Name a worker without -n QUEUES@HOST: two workers on one host would both be celery@HOST."""
    name, host = str(instance.hostname).split("@", 1)
    queues = options.get("queues") or DEFAULT_QUEUE
    if name == NODENAME_DEFAULT:
        instance.hostname = f"{queues if isinstance(queues, str) else ','.join(queues)}@{host}"


@signals.worker_init.connect
def disable_mingle_and_gossip(sender: Any, **_: Any) -> None:
    """Let workers not talk to each other.

    They would exchange revoked tasks, which we do not use. That costs a second at each start, and messages to
    every worker for each step of any other.
    """
    sender.options |= {"without_mingle": True, "without_gossip": True}


@signals.celeryd_after_setup.connect
def start(instance: Any, **_: Any) -> None:
    """Register the node and recover its tasks. A worker that cannot start logs why and exits."""
    try:
        _start(instance)
    except TorkError as error:
        log.error("node.not_started", node=instance.hostname, reason=str(error))  # noqa: TRY400  not a bug
        sys.exit(1)
    except Exception:  # Celery would log it and run on, without a node
        log.exception("node.not_started", node=instance.hostname)
        sys.exit(1)
    except KeyboardInterrupt:  # while it waited for the datastore or the engine
        sys.exit(128 + signal.SIGINT)


def _start(instance: Any) -> None:
    queues = instance.app.amqp.queues
    process = build_node_process(
        settings.load(),
        app,
        name=instance.hostname,
        queues=list(queues.consume_from),
        slots=instance.concurrency,
        terminate=lambda: os.kill(os.getpid(), signal.SIGTERM),
    )
    if process.worker is not None:
        _consume_first(queues, queue_names.of_node(process.worker.node))
    process.start()
    current_process.set(process)
    signals.worker_shutting_down.connect(shut_down)
    signals.worker_shutdown.connect(stop)


def _consume_first(queues: Any, name: str) -> None:
    """Consume from this queue before the others: its steps belong to tasks that have started."""
    served = dict(queues.consume_from)
    queues.select([])
    queues.add(declare(name))
    queues.select([name, *served])


def shut_down(sig: str, **_: Any) -> None:
    """Detach or release the running steps. A thread does it: Celery calls this in a signal handler.

    SIGINT releases tasks; the setting TORK_STOP says what SIGTERM does.
    """
    policy = ShutdownPolicy(release=True) if sig == signal.SIGINT.name else settings.load().stop
    threading.Thread(target=current_process.get().shut_down, args=(policy,), name="shut-down").start()


def stop(**_: Any) -> None:
    current_process.get().stop()
