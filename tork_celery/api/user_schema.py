"""The body of `POST /users`."""

from typing import cast

from tork_celery import jobfile
from tork_celery.domain import user
from tork_celery.domain.user import NewUser
from tork_celery.jobfile import validators
from tork_celery.jobfile.fields import String, docs, max_length
from tork_celery.jobfile.mapping_schema import MappingSchema


class UserSchema(MappingSchema):
    definition = NewUser

    username = String(
        required=True,
        validate=validators.user_name,
        metadata=docs("letters, digits, `.`, `_`, `@`, `+` and `-`, 64 at most"),
    )
    password = String(
        required=True,
        validate=max_length(user.LONGEST_PASSWORD),
        metadata=docs("1024 characters at most"),
    )
    name = String(
        validate=max_length(user.LONGEST_DISPLAY_NAME),
        metadata=docs("display name; the user name if left out"),
    )


def parse_user(body: bytes, media_type: str, *, limit_bytes: int) -> NewUser:
    """Return the user in the body. Raises `InvalidInput`, `BodyTooLarge`."""
    expected = "a mapping with `username` and `password`"
    found = jobfile.parse_mapping(UserSchema, body, media_type, expected=expected, limit_bytes=limit_bytes)
    return cast(NewUser, found)
