"""What a Celery worker of ours does when it starts and when it stops."""

import os
import signal
import sys
import threading
from typing import Any

import structlog
from celery import signals
from celery.utils.nodenames import NODENAME_DEFAULT

from tork_celery import bootstrap, log_config, settings
from tork_celery.dispatch.queue_declarations import declare
from tork_celery.domain import queue_names
from tork_celery.domain.errors import TorkError
from tork_celery.domain.queue_names import CONTROL_QUEUE, DEFAULT_QUEUE
from tork_celery.services.periodic import PeriodicWork
from tork_celery.services.recovery_sweep import RecoverySweep
from tork_celery.settings import ShutdownPolicy
from tork_celery.store import schema_version
from tork_celery.tasks.app import Process, app, become, process
from tork_celery.worker import recovery
from tork_celery.worker.heartbeat import Heartbeat
from tork_celery.worker.worker import Worker

log = structlog.get_logger(__name__)

_PLANNED_STOP_LEASE_S = 60.0  # how long a node that stops has to come back before its tasks go to others


@signals.celeryd_init.connect
def name_node(instance: Any, options: dict[str, Any], **_: Any) -> None:
    """Two plain workers on one host would both be celery@host: the default name tells their queues."""
    name, host = str(instance.hostname).split("@", 1)
    served = options.get("queues") or DEFAULT_QUEUE
    if name == NODENAME_DEFAULT:
        instance.hostname = f"{_joined(served)}@{host}"


def _joined(queues: str | list[str]) -> str:
    return queues if isinstance(queues, str) else ",".join(queues)


@signals.worker_init.connect
def ask_no_neighbours(sender: Any, **_: Any) -> None:
    """What workers would tell each other is what they have revoked, which nobody here does: to wait for it is
    a second of each start, and to pass it on work for each worker at each step of any other."""
    sender.options |= {"without_mingle": True, "without_gossip": True}


@signals.celeryd_after_setup.connect
def begin(instance: Any, **_: Any) -> None:
    """Register the node and take up what it left; a worker that cannot work says why and exits."""
    try:
        _begin(instance)
    except TorkError as error:
        log.error("node.not_started", node=instance.hostname, reason=str(error))  # noqa: TRY400  it is no bug
        sys.exit(1)


def _begin(instance: Any) -> None:
    config = settings.load()
    served = list(instance.app.amqp.queues.consume_from)
    store = bootstrap.database(config, slots=instance.concurrency)
    schema_version.check(store)
    context = bootstrap.context(config, app, store)
    node = bootstrap.node(instance.hostname, served)
    recovery.register(store, node, lease_s=config.lease_s)
    worker = None
    if served != [CONTROL_QUEUE]:
        worker = bootstrap.worker(config, app, store, node=node.name, slots=instance.concurrency)
        _serve_first(instance.app.amqp.queues, queue_names.of_node(node.name))
        worker.start()
        recovery.recover(worker)
    recovery_sweep = RecoverySweep(context)
    heartbeat = Heartbeat(
        store,
        node,
        worker,
        interval_s=config.heartbeat_s,
        watcher=recovery_sweep,
        replaced=lambda: os.kill(os.getpid(), signal.SIGTERM),
    )
    periodic_work = PeriodicWork(context, recovery_sweep) if CONTROL_QUEUE in served else None
    become(Process(context, heartbeat, worker, periodic_work))
    signals.worker_shutting_down.connect(let_go)
    signals.worker_shutdown.connect(end)
    heartbeat.start()
    if periodic_work is not None:
        periodic_work.start()


def _serve_first(queues: Any, name: str) -> None:
    """Consume from this queue too, before the others: the steps in it belong to tasks that have begun."""
    served = dict(queues.consume_from)
    queues.select([])
    queues.add(declare(name))
    queues.select([name, *served])


def let_go(sig: str, **_: Any) -> None:
    """Celery calls this in a signal handler, so the work is a thread's. SIGINT gives the tasks back; what
    SIGTERM does is a setting."""
    worker = process().worker
    if worker is not None:
        chosen = ShutdownPolicy(release=True) if sig == signal.SIGINT.name else settings.load().stop
        threading.Thread(target=_let_go, args=(worker, chosen), name="let-go").start()


def _let_go(worker: Worker, chosen: ShutdownPolicy) -> None:
    worker.drain(within_s=chosen.wait_s)
    if not chosen.release:
        try:
            worker.extend_leases(for_s=_PLANNED_STOP_LEASE_S)
        except TorkError as error:
            log.warning("node.leases_not_extended", reason=str(error))
    if chosen.release:
        worker.release()
    else:
        worker.detach()


def end(**_: Any) -> None:
    ours = process()
    ours.heartbeat.stop()
    if ours.periodic_work is not None:
        ours.periodic_work.stop()
    if ours.worker is not None:
        ours.worker.close()


@signals.setup_logging.connect
def configure_logging(**_: Any) -> None:
    """Celery's own records go the way of ours."""
    log_config.configure(settings.load().log_level)
