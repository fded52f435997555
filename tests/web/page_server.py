"""The API and the pages over a datastore, in this process."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from flask import Flask
from werkzeug.serving import WSGIRequestHandler, make_server

from tests.services.fakes import FakeDispatcher
from tork_celery.api import create_app
from tork_celery.api.context import ApiContext
from tork_celery.services.authentication import Authenticator
from tork_celery.services.context import ServiceContext
from tork_celery.store import Database
from tork_celery.web import add_pages


def page_app(database: Database, *, authenticated: bool = False) -> Flask:
    """Return the application with the pages."""
    api = ApiContext(
        services=ServiceContext(database=database, dispatcher=FakeDispatcher(), lease_s=10.0),
        body_limit_bytes=1024 * 1024,
        authenticator=Authenticator(database, schemes=["basic", "key"]) if authenticated else None,
        version="0.1.0",
    )
    app = create_app(api)
    add_pages(app, api)
    return app


class _SilentHandler(WSGIRequestHandler):
    def log(self, *_: object) -> None:
        """Keep requests out of the output of tests."""


@contextmanager
def serving_pages(app: Flask) -> Iterator[str]:
    """Serve the application while the context lasts. Yields its address."""
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_SilentHandler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
