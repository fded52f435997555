"""Pairs of a broker and a datastore server for an installation."""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass

import redis
from kombu import Connection

from scripts import servers
from scripts.server_process import Server

SHORT_CONSUMER_TIMEOUT_S = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerPair:
    broker: Server
    datastore: Server

    @property
    def environment(self) -> dict[str, str]:
        """The settings that make an installation use these servers."""
        return {"TORK_BROKER_URL": self.broker.url, "TORK_DATASTORE_URL": self.datastore.url}

    def empty_broker(self, queues: Sequence[str]) -> None:
        """Delete the messages of these queues; on Redis delete everything."""
        if self.broker.url.startswith("redis:"):
            with closing(redis.Redis.from_url(self.broker.url)) as client:
                client.flushall()
            return
        with Connection(self.broker.url) as connection:
            for name in queues:
                with connection.channel() as channel:
                    channel.queue_purge(name)


@contextmanager
def redis_and_postgresql() -> Iterator[ServerPair]:
    with servers.running_redis() as broker, servers.running_postgresql() as datastore:
        yield ServerPair(broker=broker, datastore=datastore)


@contextmanager
def rabbitmq_and_postgresql() -> Iterator[ServerPair]:
    """RabbitMQ redelivers a message that is not acknowledged within 20 s, and checks every 2 s."""
    options = {"consumer_timeout": str(SHORT_CONSUMER_TIMEOUT_S * 1000), "channel_tick_interval": "2000"}
    with servers.running_rabbitmq(options) as broker, servers.running_postgresql() as datastore:
        yield ServerPair(broker=broker, datastore=datastore)


PAIRS = {
    "redis+postgresql": redis_and_postgresql,
    "rabbitmq+postgresql": rabbitmq_and_postgresql,
}
