"""How Celery is configured, each setting with its reason. Where things are comes from the environment."""

import ssl
from typing import Any

from tork_celery import settings
from tork_celery.dispatch.dispatcher import RECONCILE
from tork_celery.dispatch.queue_declarations import MAX_PRIORITY, declare
from tork_celery.domain.queue_names import CONTROL_QUEUE, DEFAULT_QUEUE

_settings = settings.load()
_BROKER_TIMEOUT_S = 3.0  # a broker that is frozen or away must not hang a publisher for good

broker_url = _settings.broker_url
broker_connection_retry_on_startup = True  # a worker may start before its broker
broker_channel_error_retry = True  # RabbitMQ closes a channel that waits too long; the worker is to live on
broker_connection_max_retries = None  # a worker waits for its broker for as long as that takes
broker_connection_timeout = _BROKER_TIMEOUT_S  # a client that posts a job waits for this at the most

# A broker by TLS shows who it is. Without this Celery would encrypt, and take any certificate.
_ca = _settings.broker_ca or None  # None: those that this machine trusts
if broker_url.startswith("rediss:"):
    broker_use_ssl = {"ssl_cert_reqs": ssl.CERT_REQUIRED, "ssl_ca_certs": _ca}
elif broker_url.startswith("amqps:"):
    broker_use_ssl = {"cert_reqs": ssl.CERT_REQUIRED, "ca_certs": _ca, "server_hostname": None}  # the URL's

# A step is acknowledged when it has ended, so that the message of one whose worker died comes back.
task_acks_late = True
task_reject_on_worker_lost = True
worker_prefetch_multiplier = 1  # a worker takes no message that it has no slot for
# Steps outlive a lost connection; claims guard them.
worker_cancel_long_running_tasks_on_connection_loss = False
# Raised again step by step after a lost connection, it would be set from the thread of a step that ends: two
# threads then read from one connection to RabbitMQ, and the worker takes nothing any more.
worker_enable_prefetch_count_reduction = False

# The datastore is the truth: there is no result backend, and messages hold ids only.
task_ignore_result = True
task_serializer = "json"
accept_content = ["json"]

worker_pool = "threads"  # steps wait for containers; with threads -c 3 means three steps at a time
worker_enable_remote_control = True
worker_send_task_events = True  # for Flower
task_send_sent_event = True
worker_hijack_root_logger = False  # logs are structlog's
worker_redirect_stdouts = False

task_default_queue = DEFAULT_QUEUE
task_queues = (declare(DEFAULT_QUEUE),)  # what a worker without -Q takes
task_queue_max_priority = MAX_PRIORITY
task_publish_retry_policy = {"max_retries": 2, "interval_start": 0.1, "interval_step": 0.2}

beat_scheduler = "celery.beat:Scheduler"  # nothing of beat's is worth a file: the sweep may run at any time
beat_schedule = {
    "reconcile": {
        "task": RECONCILE,
        "schedule": 2.0,
        "options": {"queue": CONTROL_QUEUE, "expires": 4.0},
    },
}

_patience: dict[str, Any] = {  # of a publisher with a broker that refuses connections: one more try, at once
    "max_retries": 1,
    "interval_start": 0.1,
    "interval_step": 0.1,
    "interval_max": 0.1,
}
if broker_url.startswith("redis"):
    broker_transport_options = _patience | {
        "visibility_timeout": _settings.broker_visibility_timeout_s,
        "priority_steps": list(range(MAX_PRIORITY + 1)),
        "queue_order_strategy": "priority",  # the node's own queue comes first, or begun tasks would starve
        "socket_timeout": _BROKER_TIMEOUT_S,
        "socket_connect_timeout": _BROKER_TIMEOUT_S,
    }
else:
    broker_transport_options = _patience | {
        "confirm_publish": True,  # the broker has it, or the sweep will find that it does not
        # A publisher waits three times when the server freezes: for the confirmation, and to close twice.
        "read_timeout": _BROKER_TIMEOUT_S / 2,
        "write_timeout": _BROKER_TIMEOUT_S / 2,
    }
