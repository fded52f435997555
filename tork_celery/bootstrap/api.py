"""Processes that serve the API."""

import os
import socket
from contextlib import suppress
from dataclasses import replace
from functools import partial

from tork_celery import settings_report
from tork_celery.api import create_app, responses
from tork_celery.api.context import ApiContext
from tork_celery.api.front import Front
from tork_celery.api.front.hub import StreamHub
from tork_celery.bootstrap.broker import build_celery_app
from tork_celery.bootstrap.datastore import build_database
from tork_celery.bootstrap.services import VERSION, build_service_context, describe_node
from tork_celery.bootstrap.traces import build_job_traces
from tork_celery.domain.errors import BrokerUnavailable
from tork_celery.presence import Presence
from tork_celery.publisher import BackgroundPublisher
from tork_celery.services.authentication import Authenticator
from tork_celery.services.context import ServiceContext
from tork_celery.services.long_poll import ended_jobs
from tork_celery.services.streams.logs import LogReader
from tork_celery.services.streams.seats import StreamSeats
from tork_celery.services.streams.states import StateReader
from tork_celery.services.streams.tail import Tail
from tork_celery.settings import Settings
from tork_celery.store import Database
from tork_celery.store.change_wakeups import change_wakeups
from tork_celery.web import add_pages

_KILL_S = 5.0
"""Time after the grace of a cancel within which a worker kills a step and stores its last output."""


def build_api(settings: Settings, *, port: int, processes: int, threads: int) -> Front:
    """Build one of `processes` processes that serve the API on a port, each with `threads` threads."""
    database = build_database(settings, slots=threads, detect_hangs=True, log_outages=True)
    name = f"api-{port}" if processes == 1 else f"api-{port}-{os.getpid()}"
    node = describe_node(f"{name}@{socket.gethostname()}", port=port)
    context = build_service_context(settings, build_celery_app(), database)
    api_presence = Presence(
        database,
        node,
        interval_s=settings.heartbeat_s,
        on_beat=lambda _now: context.dispatcher.ping_if_away(),
    )
    services = replace(
        context,
        write_error=lambda: api_presence.write_error,
        background_publisher=BackgroundPublisher(context.dispatcher),
        traces=build_job_traces(database),
    )
    streams = _build_streams(settings, database)
    api = ApiContext(
        services=services,
        version=VERSION,
        wait_max_s=settings.wait_max_s,
        body_limit_bytes=settings.body_limit_bytes,
        image_required=settings.runtime != "shell",
        authenticator=Authenticator(database, schemes=settings.auth) if settings.auth else None,
        cors_origins=settings.cors_origins,
        hosts=settings.hosts,
        rate_limit=settings.rate_limit,
        stream_seats=StreamSeats(settings.streams),
        settings=settings_report.report(settings, os.environ),
    )
    app = create_app(api)
    add_pages(app, api)
    return Front(
        app,
        threads=threads,
        body_limit_bytes=settings.body_limit_bytes,
        ended_jobs=partial(ended_jobs, services),
        streams=streams,
        on_startup=partial(_start_api, services, api_presence),
        on_shutdown=partial(_stop_api, services, api_presence),
    )


def _build_streams(settings: Settings, database: Database) -> StreamHub:
    settle_s = settings.cancel_grace_s + _KILL_S
    logs = LogReader(database, settle_s=settle_s, log_part=responses.log_part)
    tail = Tail(database, change_wakeups(database), log_reader=logs)
    return StreamHub(tail, states=StateReader(database), logs=logs)


def _start_api(services: ServiceContext, api_presence: Presence) -> None:
    api_presence.start()
    if services.background_publisher is not None:
        services.background_publisher.start()
    if services.traces is not None:
        services.traces.start()
    with suppress(BrokerUnavailable):  # which is logged; the API accepts jobs meanwhile
        services.dispatcher.ping()


def _stop_api(services: ServiceContext, api_presence: Presence) -> None:
    if services.background_publisher is not None:
        services.background_publisher.stop()
    if services.traces is not None:
        services.traces.stop()
    api_presence.stop()
