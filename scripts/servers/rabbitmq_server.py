"""A RabbitMQ server for tests."""

import secrets
import signal
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from kombu import Connection

from scripts.server_process import Server, free_port, is_open, server_directory, spawn, stop_process
from scripts.servers.installation import RABBITMQ, require

_USER = "tork"


@contextmanager
def running_rabbitmq(
    options: Mapping[str, str] | None = None, *, tls: Path | None = None
) -> Iterator[Server]:
    """Run a block while a new RabbitMQ server runs. Raises Unavailable.

    `options` are entries of advanced.config, for example `{"consumer_timeout": "20000"}` in milliseconds.
    `tls`, a directory with `cert.pem` and `key.pem`, makes it accept only TLS.
    """
    require("rabbitmq")
    password, port, mapper_port = secrets.token_hex(16), free_port(), free_port()
    with server_directory() as directory, ExitStack() as stack:
        _write_configuration(directory, port=port, password=password, options=options or {}, tls=tls)
        # Erlang would start a port mapper that outlives the server, unless one is running.
        stack.enter_context(_port_mapper(mapper_port, directory))
        url = f"{'amqps' if tls else 'amqp'}://{_USER}:{password}@127.0.0.1:{port}//"
        server = Server(
            url=url,
            command=[RABBITMQ],
            directory=directory,
            is_ready=lambda: is_open(port) if tls else _accepts_connections(url),
            environment=_environment(directory, mapper_port),
        )
        stack.enter_context(server.running())
        yield server


def _write_configuration(
    directory: Path, *, port: int, password: str, options: Mapping[str, str], tls: Path | None
) -> None:
    (directory / "rabbitmq.conf").write_text(
        f"{_listener(port, tls)}log.console = true\nlog.console.level = info\n"
        f"log.file = false\ndefault_user = {_USER}\ndefault_pass = {password}\n"
    )
    terms = ", ".join(f"{{{name}, {value}}}" for name, value in options.items())
    (directory / "advanced.config").write_text(f"[{{rabbit, [{terms}]}}].\n")


def _listener(port: int, tls: Path | None) -> str:
    if tls is None:
        return f"listeners.tcp.default = 127.0.0.1:{port}\n"
    files = {"cacertfile": "cert.pem", "certfile": "cert.pem", "keyfile": "key.pem"}
    options = "".join(f"ssl_options.{option} = {tls}/{name}\n" for option, name in files.items())
    return f"listeners.tcp = none\nlisteners.ssl.default = 127.0.0.1:{port}\n{options}"


def _environment(directory: Path, mapper_port: int) -> dict[str, str]:
    return {
        "HOME": str(directory),  # of the Erlang cookie
        "RABBITMQ_NODENAME": "tork@localhost",
        "RABBITMQ_DIST_PORT": str(free_port()),
        "RABBITMQ_CONFIG_FILE": str(directory / "rabbitmq.conf"),
        "RABBITMQ_ADVANCED_CONFIG_FILE": str(directory / "advanced.config"),
        "RABBITMQ_CONF_ENV_FILE": str(directory / "no-environment"),
        "RABBITMQ_MNESIA_BASE": str(directory / "mnesia"),
        "RABBITMQ_LOG_BASE": str(directory),
        "RABBITMQ_FEATURE_FLAGS_FILE": str(directory / "feature_flags"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(directory / "enabled_plugins"),
        "RABBITMQ_PID_FILE": str(directory / "pid"),
        # The start script replaces itself by the server, instead of being a parent that can be killed alone.
        "RABBITMQ_ALLOW_INPUT": "true",
        "RABBITMQ_SERVER_START_ARGS": "-noinput",
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        "ERL_EPMD_PORT": str(mapper_port),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
    }


@contextmanager
def _port_mapper(port: int, directory: Path) -> Iterator[None]:
    mapper = spawn(["epmd", "-port", str(port), "-address", "127.0.0.1"], directory)
    try:
        yield
    finally:
        stop_process(mapper, signal.SIGTERM)


def _accepts_connections(url: str) -> bool:
    with Connection(url, connect_timeout=3) as connection:
        try:
            connection.connect()
        except OSError:
            return False
    return True
