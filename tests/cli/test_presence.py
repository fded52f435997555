"""The API's process is a node as long as it lives."""

from tork_celery.cli.presence import Presence

from tests.eventually import eventually
from tests.store.stores import FlakyDatabase, database
from tork_celery.domain.node import Node
from tork_celery.store import nodes

__all__ = ["database"]

NODE = Node(name="api-3000@here", instance="1", hostname="here", pid=1, queues=(), version="0", port=3000)


def stored(database: FlakyDatabase) -> list[Node]:
    with database.reading() as tx:
        return nodes.active(tx, within_s=60.0)


def test_a_process_is_a_node_until_it_stops(database: FlakyDatabase) -> None:
    presence = Presence(database, NODE, interval_s=0.01)
    presence.start()
    [first] = eventually(lambda: stored(database))
    eventually(lambda: stored(database)[0].heartbeat_at > first.heartbeat_at)

    presence.stop()

    [last] = stored(database)
    assert (last.name, last.port, last.stopped_at is not None) == ("api-3000@here", 3000, True)


def test_a_datastore_that_is_away_is_waited_for(database: FlakyDatabase) -> None:
    database.down = True
    presence = Presence(database, NODE, interval_s=0.01)
    presence.start()
    eventually(lambda: database.failures > 1)
    database.down = False
    eventually(lambda: stored(database))
    database.down = True

    presence.stop()
