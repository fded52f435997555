"""The names of queues."""

import re

DEFAULT_QUEUE = "default"
CONTROL_QUEUE = "control"
NODE_PREFIX = "node."

LONGEST_NAME = 128
_NAME = re.compile(r"[A-Za-z0-9._-]+", re.ASCII)
_RESERVED = re.compile(
    rf"{CONTROL_QUEUE}|{re.escape(NODE_PREFIX)}.*"
    r"|amq\..*"  # RabbitMQ refuses to declare these
    r"|unacked.*|_kombu\..*"  # keys that kombu keeps in Redis beside the queues
    r"|celeryev.*|.*\.pidbox"  # Celery's events and remote control
)


def check(name: str) -> None:
    """Raise ValueError, with the reason, unless a queue of users may have this name."""
    if not _NAME.fullmatch(name):
        raise ValueError("may hold letters, digits, `.`, `_` and `-` only")
    if len(name) > LONGEST_NAME:
        raise ValueError(f"longer than {LONGEST_NAME} characters")
    if _RESERVED.fullmatch(name):
        raise ValueError(f"the system uses the queue {name!r} for itself; choose another name")


def of_node(node: str) -> str:
    """Return the name of a node's own queue, for the further steps of the tasks that it runs."""
    return NODE_PREFIX + node
