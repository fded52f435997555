"""What a stream follows, and whether its user may see it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection

from tork_celery.domain.errors import NotFound
from tork_celery.domain.streams import Topic, TopicKind
from tork_celery.domain.user import User
from tork_celery.store import Database, event_rows, followed_logs, users


@dataclass(frozen=True, slots=True)
class Subscription:
    """A topic, with the job that it belongs to. `first_id` is the first attempt of the task of a log."""

    topic: Topic
    job_id: str = ""
    first_id: str = ""


def find(database: Database, topics: Collection[Topic], viewer: User | None) -> list[Subscription]:
    """Return the subscriptions to topics. Raises NotFound if one is not there, or `viewer` may not see it."""
    with database.reading() as tx:
        found = [_find(tx, topic) for topic in topics]
        job_ids = {each.job_id for each in found if each is not None and each.job_id}
        visible = event_rows.visible_ids(tx, job_ids, viewer)
    for topic, each in zip(topics, found, strict=True):
        if each is None or (each.job_id and each.job_id not in visible):
            kind = "task" if topic.kind is TopicKind.LOG else "job"
            raise NotFound(f"topic {topic}: no {kind} with the id {topic.id!r}")
    return [each for each in found if each is not None]


def _find(tx: Connection, topic: Topic) -> Subscription | None:
    if topic.kind is TopicKind.LOG:
        task = followed_logs.find(tx, topic.id)
        return None if task is None else Subscription(topic, job_id=task.job_id, first_id=task.first_id)
    return Subscription(topic, job_id=topic.id)


@dataclass(frozen=True, slots=True)
class Rights:
    """The users that may still log in, by name, and the ids of the jobs that each may see.

    The ids are those of the jobs that the user follows.
    """

    users: Mapping[str, User]
    visible: Mapping[str, Collection[str]]

    def allow(self, viewer: User | None, job_id: str) -> bool:
        """Return whether the user may follow a job, or for an empty id all jobs."""
        if viewer is None or viewer.username not in self.visible:
            return viewer is None or viewer.username in self.users
        return not job_id or job_id in self.visible[viewer.username]


def read_rights(database: Database, followed: Mapping[str, Collection[str]]) -> Rights:
    """Return the current rights of users, by name, who follow jobs. Raises DatastoreUnavailable."""
    with database.reading() as tx:
        known = {name: users.get(tx, name) for name in followed}
        enabled = {name: user for name, user in known.items() if user is not None and not user.disabled}
        visible = {name: event_rows.visible_ids(tx, followed[name], user) for name, user in enabled.items()}
    return Rights(users=enabled, visible=visible)
