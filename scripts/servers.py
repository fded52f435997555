"""PostgreSQL, Redis and RabbitMQ, each an instance of our own on a free port of this machine.

    python -m scripts.servers

installs what is missing, starts all three, prints their URLs, and stops them on Ctrl-C. Their data is gone
then: they are for tests and for trying things out.
"""

import os
import pwd
import secrets
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import psycopg
import redis as redis_client
from kombu import Connection

from scripts import apt, server
from scripts.apt import Unavailable
from scripts.server import Server

PACKAGES = {
    "postgresql": "postgresql",
    "redis": "redis-server",
    "rabbitmq": "rabbitmq-server",
}
_POSTGRESQL = Path("/usr/lib/postgresql")
_RABBITMQ = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
_POLICY = Path("/usr/sbin/policy-rc.d")  # packages ask it before they start a service
_SETUP_WITHIN_S = 60.0
_USER = "tork"


@contextmanager
def postgresql() -> Iterator[str]:
    """The URL of a PostgreSQL server that runs while the context lasts. Raises Unavailable."""
    with running_postgresql() as started:
        yield started.url


@contextmanager
def redis() -> Iterator[str]:
    """The URL of a Redis server that runs while the context lasts. Raises Unavailable."""
    with running_redis() as started:
        yield started.url


@contextmanager
def rabbitmq(options: Mapping[str, str] | None = None) -> Iterator[str]:
    """The URL of a RabbitMQ server that runs while the context lasts. Raises Unavailable."""
    with running_rabbitmq(options) as started:
        yield started.url


@contextmanager
def running_postgresql() -> Iterator[Server]:
    """The same as a server that can be stopped and started. It does not survive a crash of the machine."""
    require("postgresql")
    user = "postgres" if os.geteuid() == 0 else None  # PostgreSQL does not run as root
    password, port = secrets.token_hex(16), free_port()
    with _folder(user) as folder:
        data, password_file = folder / "data", folder / "password"
        password_file.write_text(password)
        _chown(password_file, user)
        setup: list[str | Path] = [_program_of_postgresql("initdb"), "--pgdata", data]
        setup += [f"--username={_USER}", f"--pwfile={password_file}", "--auth=scram-sha-256"]
        setup += ["--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]
        if server.spawn(setup, folder, user=user).wait(_SETUP_WITHIN_S) != 0:
            raise Unavailable(f"initdb failed:\n{server.log_of(folder).read_text()}")
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(port),
            "unix_socket_directories": "",
            "fsync": "off",  # its data is not kept
            "max_connections": "200",
        }
        url = f"postgresql://{_USER}:{password}@127.0.0.1:{port}/postgres"
        started = Server(
            url=url,
            command=[_program_of_postgresql("postgres"), "-D", data, *_flags("-c", settings)],
            folder=folder,
            answers=lambda: _postgresql_answers(url),
            user=user,
            stop_signal=signal.SIGINT,  # does not wait for its clients to leave
        )
        with started.running():
            yield started


@contextmanager
def running_redis(*, tls: Path | None = None) -> Iterator[Server]:
    """The same as a server that can be stopped and started; by TLS alone with the `cert.pem` and `key.pem` of
    a directory."""
    require("redis")
    password, port = secrets.token_hex(16), free_port()
    with _folder() as folder:
        listen = f"port {port}\n"
        if tls is not None:
            listen = f"port 0\ntls-port {port}\ntls-cert-file {tls}/cert.pem\ntls-key-file {tls}/key.pem\n"
            listen += f"tls-ca-cert-file {tls}/cert.pem\ntls-auth-clients no\n"
        configuration = (
            folder / "redis.conf"
        )  # a file, for the password is not to show in a list of processes
        configuration.write_text(
            f"bind 127.0.0.1\n{listen}requirepass {password}\ndir {folder}\n"
            "appendonly yes\nsave ''\nmaxmemory-policy noeviction\n"
        )
        url = f"{'rediss' if tls else 'redis'}://:{password}@127.0.0.1:{port}/0"
        started = Server(
            url=url,
            command=["redis-server", configuration],
            folder=folder,
            answers=lambda: is_open(port) if tls else _redis_answers(url),
        )
        with started.running():
            yield started


@contextmanager
def running_rabbitmq(
    options: Mapping[str, str] | None = None, *, tls: Path | None = None
) -> Iterator[Server]:
    """The same as a server that can be stopped and started. `options` are lines of advanced.config by name:
    `{"consumer_timeout": "20000", "channel_tick_interval": "2000"}`, in milliseconds. `tls` as for Redis."""
    require("rabbitmq")
    password = secrets.token_hex(16)
    port, distribution_port, epmd_port = free_port(), free_port(), free_port()
    with _folder() as folder, ExitStack() as stack:
        (folder / "rabbitmq.conf").write_text(
            f"{_rabbitmq_listens(port, tls)}log.console = true\nlog.console.level = info\n"
            f"log.file = false\ndefault_user = {_USER}\ndefault_pass = {password}\n"
        )
        terms = ", ".join(f"{{{name}, {value}}}" for name, value in (options or {}).items())
        (folder / "advanced.config").write_text(f"[{{rabbit, [{terms}]}}].\n")
        environment = {
            "HOME": str(folder),  # of the Erlang cookie
            "RABBITMQ_NODENAME": "tork@localhost",
            "RABBITMQ_DIST_PORT": str(distribution_port),
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(folder / "advanced.config"),
            "RABBITMQ_CONF_ENV_FILE": str(folder / "no-environment"),
            "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(folder),
            "RABBITMQ_FEATURE_FLAGS_FILE": str(folder / "feature_flags"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
            "RABBITMQ_PID_FILE": str(folder / "pid"),
            # The script then becomes the server, instead of a parent that could die without it.
            "RABBITMQ_ALLOW_INPUT": "true",
            "RABBITMQ_SERVER_START_ARGS": "-noinput",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
            "ERL_EPMD_PORT": str(epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
        }
        # Erlang would start a port mapper that stays: this one is there first, and ends with the context.
        stack.enter_context(_port_mapper(epmd_port, folder))
        url = f"{'amqps' if tls else 'amqp'}://{_USER}:{password}@127.0.0.1:{port}//"
        started = Server(
            url=url,
            command=[_RABBITMQ],
            folder=folder,
            answers=lambda: is_open(port) if tls else _rabbitmq_answers(url),
            environment=environment,
        )
        stack.enter_context(started.running())
        yield started


def _rabbitmq_listens(port: int, tls: Path | None) -> str:
    if tls is None:
        return f"listeners.tcp.default = 127.0.0.1:{port}\n"
    files = {"cacertfile": "cert.pem", "certfile": "cert.pem", "keyfile": "key.pem"}
    options = "".join(f"ssl_options.{option} = {tls}/{name}\n" for option, name in files.items())
    return f"listeners.tcp = none\nlisteners.ssl.default = 127.0.0.1:{port}\n{options}"


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _postgresql_answers(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=3).close()
    except psycopg.OperationalError:
        return False
    return True


def _redis_answers(url: str) -> bool:
    with closing(redis_client.Redis.from_url(url, socket_timeout=3)) as client:
        try:
            return bool(client.ping())
        except redis_client.RedisError:
            return False


def _rabbitmq_answers(url: str) -> bool:
    with Connection(url, connect_timeout=3) as connection:
        try:
            connection.connect()
        except OSError:
            return False
    return True


def require(*names: str) -> None:
    """Install those of the servers that are missing. Raises Unavailable with what to do where it may not."""
    missing = [PACKAGES[name] for name in names if not _is_there(name)]
    if not missing:
        return
    if not apt.may_install():
        raise Unavailable(f"Missing servers; on Debian or Ubuntu: apt-get install {' '.join(missing)}")
    with _no_services():
        apt.install(*missing)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _is_there(name: str) -> bool:
    if name == "postgresql":
        return any(_POSTGRESQL.glob("*/bin/postgres"))
    return _RABBITMQ.exists() if name == "rabbitmq" else shutil.which("redis-server") is not None


def _program_of_postgresql(name: str) -> Path:
    """Of the newest version that is installed."""
    return max(_POSTGRESQL.glob(f"*/bin/{name}"), key=lambda path: float(path.parent.parent.name))


@contextmanager
def _no_services() -> Iterator[None]:
    """Packages that are installed within this start nothing: the instances here are our own."""
    if _POLICY.exists():
        yield
        return
    _POLICY.write_text("#!/bin/sh\nexit 101\n")
    _POLICY.chmod(0o755)
    try:
        yield
    finally:
        _POLICY.unlink()


@contextmanager
def _folder(user: str | None = None) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="tork-server-") as name:
        _chown(Path(name), user)
        yield Path(name)


def _chown(path: Path, user: str | None) -> None:
    if user is not None:
        os.chown(path, pwd.getpwnam(user).pw_uid, pwd.getpwnam(user).pw_gid)


@contextmanager
def _port_mapper(port: int, folder: Path) -> Iterator[None]:
    mapper = server.spawn(["epmd", "-port", str(port), "-address", "127.0.0.1"], folder)
    try:
        yield
    finally:
        server.end(mapper, signal.SIGTERM)


def _flags(flag: str, settings: Mapping[str, str]) -> list[str]:
    return [word for name, value in settings.items() for word in (flag, f"{name}={value}")]


def main() -> None:
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        require(*PACKAGES)
        with postgresql() as datastore, redis() as first, rabbitmq() as second:
            print(f"TORK_DATASTORE_URL={datastore}\nTORK_BROKER_URL={first}\nTORK_BROKER_URL={second}")
            print("They run until Ctrl-C.", flush=True)
            signal.pause()
    except Unavailable as missing:
        sys.exit(str(missing))
    except KeyboardInterrupt:
        print("stopped")


if __name__ == "__main__":
    main()
