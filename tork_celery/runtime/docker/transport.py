"""The docker SDK's connections to a Unix socket, but for one thing: theirs forget to close the socket when
nothing answers."""

import socket
from collections.abc import Mapping
from typing import override

import docker
from docker.transport import UnixHTTPAdapter
from docker.transport.unixconn import UnixHTTPConnection, UnixHTTPConnectionPool
