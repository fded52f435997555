"""The audit log: who changed what, when and from where."""

from dataclasses import dataclass
from enum import StrEnum


class Action(StrEnum):
    """A change by a user. Its target is a job, schedule, user or queue, as its name says."""

    SUBMIT_JOB = "job.submit"
    CANCEL_JOB = "job.cancel"
    RESTART_JOB = "job.restart"
    SET_PRIORITY = "job.priority"
    DELETE_JOB = "job.delete"
    CREATE_SCHEDULE = "schedule.create"
    PAUSE_SCHEDULE = "schedule.pause"
    RESUME_SCHEDULE = "schedule.resume"
    RUN_SCHEDULE = "schedule.run"
    DELETE_SCHEDULE = "schedule.delete"
    PURGE_QUEUE = "queue.purge"
    ADD_USER = "user.add"
    CHANGE_NAME = "user.name"
    CHANGE_PASSWORD = "user.password"  # noqa: S105  the name of an action
    CREATE_KEY = "user.key"
    GRANT_ROLE = "user.role.grant"
    REVOKE_ROLE = "user.role.revoke"
    DISABLE_USER = "user.disable"
    ENABLE_USER = "user.enable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who makes a change: a user, None without authentication, and the network address of the client.

    A command on the datastore has the address `local:NAME`, with the operating system's name of the user.
    """

    username: str | None = None
    address: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """A recorded change. `target` is an id or a name; `detail` says more, such as the role."""

    id: int
    created_at: float
    actor: Actor
    action: Action
    target: str
    detail: str | None = None
