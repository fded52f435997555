"""Topics of event streams, and the positions in them that the ids of events hold."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

MAX_TOPICS = 32
"""Topics of one stream."""
_ELEMENT = re.compile(r"([0-9a-f]{10})(?:s([0-9]{1,18})|l([0-9]{1,9})-([0-9]{1,9})|(e))", re.ASCII)


class TopicKind(StrEnum):
    """All jobs; a job with its tasks; the log of a task with all its attempts."""

    JOBS = "jobs"
    JOB = "job"
    LOG = "log"


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic: `jobs`, `job:ID` or `log:TASK_ID`."""

    kind: TopicKind
    id: str = ""

    @classmethod
    def parse(cls, text: str) -> "Topic":
        """Raises ValueError."""
        kind, _, id_ = text.partition(":")
        if "\0" in text:  # which PostgreSQL rejects
            raise ValueError("a topic must not contain the character NUL")
        if text == TopicKind.JOBS or (kind in (TopicKind.JOB, TopicKind.LOG) and id_):
            return cls(TopicKind(kind), id_)
        raise ValueError(f"{text[:80]!r} is not a topic; allowed: jobs, job:ID, log:TASK_ID")

    def __str__(self) -> str:
        return f"{self.kind}:{self.id}" if self.id else str(self.kind)


@dataclass(frozen=True, slots=True, order=True)
class LogCursor:
    """Position in the log of a task: after the part with this number, of this attempt (from 0)."""

    attempt: int = 0
    number: int = 0


@dataclass(frozen=True, slots=True)
class Ended:
    """Position after the `end` of a topic."""


Position = int | LogCursor | Ended
"""Position in a topic. Of a topic that is not a log, it is the number of the last change that was sent."""
ENDED = Ended()


def encode_positions(positions: Mapping[Topic, Position]) -> str:
    """Return the positions as the id of an event."""
    return ".".join(_key(topic) + _encode(position) for topic, position in positions.items())


def decode_positions(text: str, topics: tuple[Topic, ...]) -> dict[Topic, Position]:
    """Return the positions that an id has for these topics. Unknown ids have none."""
    found = {match[1]: _decode(match) for part in text.split(".") if (match := _ELEMENT.fullmatch(part))}
    positions = {topic: found[_key(topic)] for topic in topics if _key(topic) in found}
    return {topic: each for topic, each in positions.items() if _fits(topic, each)}


def _key(topic: Topic) -> str:
    return hashlib.blake2s(str(topic).encode(), digest_size=5).hexdigest()


def _encode(position: Position) -> str:
    match position:
        case LogCursor(attempt, number):
            return f"l{attempt}-{number}"
        case int():
            return f"s{position}"
        case Ended():
            return "e"


def _decode(match: re.Match[str]) -> Position:
    _, change, attempt, number, ended = match.groups()
    if ended:
        return ENDED
    return int(change) if change else LogCursor(int(attempt), int(number))


def _fits(topic: Topic, position: Position) -> bool:
    return position == ENDED or isinstance(position, LogCursor) == (topic.kind is TopicKind.LOG)
