"""What a process follows for its streams, and what has changed in it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from tork_celery.domain.streams import LogCursor
from tork_celery.domain.user import User
from tork_celery.services.streams.states import Event
from tork_celery.services.streams.subscriptions import Rights


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowedLog:
    """A log that is followed from a position on. `number` is unique: a log may be followed again later."""

    number: int
    first_id: str
    job_id: str
    start: LogCursor


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """All that is followed.

    `viewers` has the users who follow all jobs and may not see all of them. `jobs_by_user` has, by username,
    the ids of the jobs that a user follows, the jobs of logs included.
    """

    all_jobs: bool = False
    job_ids: frozenset[str] = frozenset()
    logs: Sequence[FollowedLog] = ()
    viewers: Mapping[str, User] = field(default_factory=dict)
    jobs_by_user: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return self.all_jobs or bool(self.job_ids) or bool(self.logs)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogNews:
    """New parts of a log, each with the position after it, and whether the log has ended with them."""

    parts: Sequence[tuple[LogCursor, Event]] = ()
    end: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What has changed, as it was read at one time (`read_at`, monotonic).

    - `position`: number up to which all changes have been read.
    - `lost`: some changes are no longer known, so all state must be read anew.
    - `jobs`: events by job id. `visible` has, by username, the ids of those that a user may see.
    - `tasks`: events by job id and task id.
    - `ended_jobs`: ids of followed jobs that have ended with all their tasks, or were deleted.
    - `logs`: news by the number of the followed log.
    - `rights`: what the users may see now; None most times.
    """

    position: int
    read_at: float
    lost: bool = False
    jobs: Mapping[str, Event] = field(default_factory=dict)
    visible: Mapping[str, Collection[str]] = field(default_factory=dict)
    tasks: Mapping[str, Mapping[str, Event]] = field(default_factory=dict)
    ended_jobs: Collection[str] = ()
    logs: Mapping[int, LogNews] = field(default_factory=dict)
    rights: Rights | None = None
