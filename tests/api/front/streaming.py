"""A front with the whole API and a datastore, and clients of its streams."""

import http.client
import json
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import uvicorn

from tests.eventually import eventually
from tests.services.fakes import FakeDispatcher
from tork_celery.api import create_app, responses
from tork_celery.api.context import ApiContext
from tork_celery.api.front import Front
from tork_celery.api.front.hub import StreamHub
from tork_celery.api.front.server import make_server
from tork_celery.services.context import ServiceContext
from tork_celery.services.streams.logs import LogReader
from tork_celery.services.streams.states import StateReader
from tork_celery.services.streams.tail import Tail
from tork_celery.store import Database
from tork_celery.store.change_wakeups import change_wakeups

BODY_LIMIT_BYTES = 1024 * 1024
_TIMEOUT_S = 60.0


@dataclass
class SseEvent:
    """A received event."""

    name: str
    data: Any
    id: str


@dataclass
class StreamClient:
    """The response of a stream. `last_id` is the newest id, as a browser would resume with."""

    response: http.client.HTTPResponse
    connection: http.client.HTTPConnection
    last_id: str = ""
    comments: int = 0
    events: list[SseEvent] = field(default_factory=list)

    def next(self) -> SseEvent | None:
        """Return the next event; None when the server has closed the stream."""
        fields: dict[str, str] = {}
        while line := self.response.readline().decode():
            if line == "\n":
                self.last_id = fields.get("id", self.last_id)
                if "data" in fields:
                    event = SseEvent(fields["event"], json.loads(fields["data"]), self.last_id)
                    self.events.append(event)
                    return event
                fields = {}
            elif line.startswith(":"):
                self.comments += 1
            else:
                name, _, value = line.rstrip("\n").partition(": ")
                fields[name] = value
        return None

    def until(self, name: str, **values: Any) -> SseEvent:
        """Return the next event with this name and these values in its data."""
        while (event := self.next()) is not None:
            if event.name == name and values.items() <= event.data.items():
                return event
        raise AssertionError(f"the stream was closed before {name} {values}: {self.events}")

    def rest(self) -> list[SseEvent]:
        """Return the events until the server closes the stream."""
        return list(iter(self.next, None))

    def close(self) -> None:
        self.response.close()
        self.connection.close()


def open_stream(
    port: int,
    *topics: str,
    last_id: str | None = None,
    headers: Mapping[str, str] | None = None,
    **query: Any,
) -> StreamClient:
    """Open a stream, or resume one after `last_id`."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_S)
    sent = dict(headers or {}) | ({} if last_id is None else {"Last-Event-ID": last_id})
    path = "/events?" + urlencode([("topic", topic) for topic in topics] + list(query.items()))
    try:
        connection.request("GET", path, headers=sent)
        response = connection.getresponse()
        assert response.status == 200, response.read()
    except BaseException:
        connection.close()
        raise
    return StreamClient(response, connection)


@dataclass
class RunningApi:
    """The API on a port."""

    port: int
    hub: StreamHub
    context: ApiContext
    server: uvicorn.Server
    streams: list[StreamClient] = field(default_factory=list)

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> tuple[int, Any]:
        """Return the status and the document of a response."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_TIMEOUT_S)
        connection.request("GET", path, headers=dict(headers or {}))
        response = connection.getresponse()
        body = response.read()
        connection.close()
        return response.status, json.loads(body) if body else None

    def stream(
        self, *topics: str, last_id: str | None = None, headers: Mapping[str, str] | None = None, **query: Any
    ) -> StreamClient:
        """Open a stream, which is closed with the API."""
        stream = open_stream(self.port, *topics, last_id=last_id, headers=headers, **query)
        self.streams.append(stream)
        return stream


@contextmanager
def running_api(database: Database, *, settle_s: float = 0.0, **options: Any) -> Iterator[RunningApi]:
    """Serve the API with a datastore, as one of several processes. `options` are those of ApiContext."""
    services = ServiceContext(database=database, dispatcher=FakeDispatcher(), lease_s=10.0)
    context = ApiContext(services=services, body_limit_bytes=BODY_LIMIT_BYTES, **options)
    logs = LogReader(database, settle_s=settle_s, log_part=responses.log_part)
    tail = Tail(database, change_wakeups(database), log_reader=logs)
    hub = StreamHub(tail, states=StateReader(database), logs=logs)
    listener = socket.create_server(("127.0.0.1", 0))
    front = Front(
        create_app(context),
        threads=2,
        body_limit_bytes=BODY_LIMIT_BYTES,
        ended_jobs=lambda _job_ids: set(),
        streams=hub,
    )
    server = make_server(lambda: front, host="127.0.0.1", port=0)
    thread = threading.Thread(target=server.run, args=[[listener]])
    thread.start()
    running = RunningApi(listener.getsockname()[1], hub, context, server)
    try:
        eventually(lambda: server.started)
        yield running
    finally:
        for stream in running.streams:
            stream.close()
        server.should_exit = True
        thread.join(_TIMEOUT_S)
        listener.close()
