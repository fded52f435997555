"""Celery's configuration, each setting with its reason. Addresses come from the environment (`settings`)."""

import ssl
from typing import Any

from tork_celery import settings
from tork_celery.dispatch.queue_declarations import MAX_PRIORITY, declare
from tork_celery.domain.queue_names import DEFAULT_QUEUE

_settings = settings.load()
_BROKER_TIMEOUT_S = 3.0  # without it, a frozen broker would block a publisher forever

broker_url = _settings.broker_url
broker_connection_retry_on_startup = True  # a worker may start before its broker
broker_channel_error_retry = True  # RabbitMQ closes the channel of a message that is held too long; reconnect
worker_consumer = "tork_celery.tasks.consumer:Consumer"  # logs one line for each outage of the broker
broker_connection_max_retries = None  # workers wait for the broker without a limit
broker_connection_timeout = _BROKER_TIMEOUT_S  # the longest that a publisher waits for a connection

# Verify the certificate of a broker that is reached by TLS: Celery's default accepts any.
_ca = _settings.broker_ca or None  # None: the certificate authorities of this machine
if broker_url.startswith("rediss:"):
    broker_use_ssl = {"ssl_cert_reqs": ssl.CERT_REQUIRED, "ssl_ca_certs": _ca}
elif broker_url.startswith("amqps:"):
    # The server name None means: the host in the URL.
    broker_use_ssl = {"cert_reqs": ssl.CERT_REQUIRED, "ca_certs": _ca, "server_hostname": None}

# Acknowledge a step's message when the step has ended. The broker redelivers the messages of a dead worker.
task_acks_late = True
task_reject_on_worker_lost = True
worker_prefetch_multiplier = 1  # a worker holds no message that it has no slot for
# A lost broker connection does not end running steps; claims keep a redelivered message from running twice.
worker_cancel_long_running_tasks_on_connection_loss = False
# Celery would lower the prefetch count after a lost connection and raise it again from the thread of each
# step that ends. Two threads would then read from one RabbitMQ connection, and the worker would hang.
worker_enable_prefetch_count_reduction = False

# The datastore is the truth: there is no result backend, and messages carry ids only.
task_ignore_result = True
task_serializer = "json"
accept_content = ["json"]

worker_pool = "threads"  # steps wait for containers; with threads, -c 3 means three steps at a time
worker_enable_remote_control = True
worker_send_task_events = True  # for Flower
task_send_sent_event = True
worker_hijack_root_logger = False  # `log_config` configures logging
worker_redirect_stdouts = False

task_default_queue = DEFAULT_QUEUE
task_queues = (declare(DEFAULT_QUEUE),)  # consumed by a worker without -Q
task_queue_max_priority = MAX_PRIORITY
task_publish_retry_policy = {"max_retries": 2, "interval_start": 0.1, "interval_step": 0.2}

# Coordinators do periodic work in threads (`services.periodic`), so `celery beat` has nothing to send.
beat_schedule: dict[str, Any] = {}
beat_scheduler = "celery.beat:Scheduler"  # in memory: beat writes no file
result_expires = None  # without this, beat sends celery.backend_cleanup once a day

_retry_once: dict[str, Any] = {  # a publisher tries a refused connection once more, at once
    "max_retries": 1,
    "interval_start": 0.1,
    "interval_step": 0.1,
    "interval_max": 0.1,
}
if broker_url.startswith("redis"):
    broker_transport_options = _retry_once | {
        "visibility_timeout": _settings.broker_visibility_timeout_s,
        "priority_steps": list(range(MAX_PRIORITY + 1)),
        "queue_order_strategy": "priority",  # the node's own queue first, so that started tasks do not starve
        "socket_timeout": _BROKER_TIMEOUT_S,
        "socket_connect_timeout": _BROKER_TIMEOUT_S,
    }
else:
    broker_transport_options = _retry_once | {
        "confirm_publish": True,  # a publish returns when the broker has stored the message
        # A publisher waits three times for a frozen server: for the confirmation, and twice to close.
        "read_timeout": _BROKER_TIMEOUT_S / 2,
        "write_timeout": _BROKER_TIMEOUT_S / 2,
    }
