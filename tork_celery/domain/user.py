"""Users and their roles."""

import re
from dataclasses import dataclass, field

ADMIN = "admin"
"""Role of users who may see and control all jobs."""
PUBLIC = "public"
"""Role that every user has."""
BUILT_IN_ROLES = frozenset({ADMIN, PUBLIC})

LONGEST_NAME = 64
LONGEST_DISPLAY_NAME = 256
LONGEST_PASSWORD = 1024
_NAME = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._@+-]{{0,{LONGEST_NAME - 1}}}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A user. `roles` has the assigned roles; a `disabled` user cannot log in. `created_by` is the name of
    the user who added it."""

    username: str
    name: str
    password_hash: str = field(repr=False)
    created_at: float
    roles: frozenset[str] = frozenset()
    disabled: bool = False
    created_by: str | None = None

    @property
    def is_admin(self) -> bool:
        return ADMIN in self.roles

    @property
    def all_roles(self) -> frozenset[str]:
        """The assigned roles and `public`."""
        return self.roles | {PUBLIC}


@dataclass(frozen=True, slots=True, kw_only=True)
class NewUser:
    """A user to add. `name` is the display name."""

    username: str
    password: str = field(repr=False)
    name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UserChange:
    """A change of a user: the new values, None where nothing changes, and whether a new key is created."""

    password: str | None = field(default=None, repr=False)
    name: str | None = None
    roles: tuple[str, ...] | None = None
    disabled: bool | None = None
    new_key: bool = False

    @property
    def needs_admin(self) -> bool:
        """Whether only an admin may make the change, also of the own user."""
        return self.roles is not None or self.disabled is not None


def is_name(text: str) -> bool:
    """Return whether a user or role may have this name."""
    return _NAME.fullmatch(text) is not None


def check_name(text: str) -> None:
    """Raise ValueError unless a user or role may have this name."""
    if not is_name(text):
        raise ValueError(
            f"{text[:LONGEST_NAME]!r} is not a name for a user or role: use letters, digits, `.`, `_`, `@`, "
            f"`+` and `-`, begin with a letter or digit, and use at most {LONGEST_NAME} characters"
        )
