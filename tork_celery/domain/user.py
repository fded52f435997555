"""Users, and the roles that they have."""

import re
from dataclasses import dataclass, field

ADMIN = "admin"
"""Who has this role sees and controls every job."""
PUBLIC = "public"
"""The role that every user has."""
BUILT_IN_ROLES = frozenset({ADMIN, PUBLIC})

LONGEST_NAME = 64
LONGEST_DISPLAY_NAME = 256
LONGEST_PASSWORD = 1024
_NAME = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._@+-]{{0,{LONGEST_NAME - 1}}}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """`roles` are those that were given to the user; one who is `disabled` is let in no more."""

    username: str
    name: str
    password_hash: str = field(repr=False)
    created_at: float
    roles: frozenset[str] = frozenset()
    disabled: bool = False

    @property
    def is_admin(self) -> bool:
        return ADMIN in self.roles

    @property
    def all_roles(self) -> frozenset[str]:
        """Those, and the one that everybody has."""
        return self.roles | {PUBLIC}


@dataclass(frozen=True, slots=True, kw_only=True)
class NewUser:
    """A user who is to be added; `name` is for people."""

    username: str
    password: str = field(repr=False)
    name: str | None = None


def is_name(text: str) -> bool:
    """Whether a user or a role may be called so."""
    return _NAME.fullmatch(text) is not None


def check_name(text: str) -> None:
    """Raises ValueError for what no user and no role may be called."""
    if not is_name(text):
        raise ValueError(
            f"{text[:LONGEST_NAME]!r} is no name for a user or role: it has letters, digits, `.`, `_`, `@`, "
            f"`+` and `-`, begins with a letter or digit, and is not longer than {LONGEST_NAME} characters"
        )
