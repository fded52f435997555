"""Run PostgreSQL, Redis and RabbitMQ, print their URLs, and stop them on Ctrl-C."""

import signal
import sys

from scripts import servers
from scripts.apt import Unavailable


def main() -> None:
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        servers.require(*servers.PACKAGES)
        with servers.postgresql() as datastore, servers.redis() as redis, servers.rabbitmq() as rabbitmq:
            print(f"TORK_DATASTORE_URL={datastore}\nTORK_BROKER_URL={redis}\nTORK_BROKER_URL={rabbitmq}")
            print("They run until Ctrl-C.", flush=True)
            signal.pause()
    except Unavailable as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        print("stopped")


if __name__ == "__main__":
    main()
