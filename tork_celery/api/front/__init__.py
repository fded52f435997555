"""The HTTP front of the API: slow sockets cost no thread.

Connections, request bodies and long polls live on an event loop (uvicorn). Only a complete request reaches
the Flask application, in one of a few threads.
"""

from tork_celery.api.front.application import Front
from tork_celery.api.front.server import serve

__all__ = ["Front", "serve"]
