"""The bodies of `POST /users` and `PUT /users/{name}`."""

from typing import cast

from tork_celery import jobfile
from tork_celery.domain import user
from tork_celery.domain.user import NewUser, UserChange
from tork_celery.jobfile import validators
from tork_celery.jobfile.fields import Boolean, String, StringList, docs, max_length
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


class UserChangeSchema(MappingSchema):
    """What is left out stays as it is."""

    definition = UserChange

    password = String(
        validate=max_length(user.LONGEST_PASSWORD), metadata=docs("a new password, 1024 characters at most")
    )
    name = String(validate=max_length(user.LONGEST_DISPLAY_NAME), metadata=docs("a new display name"))
    roles = StringList(
        String(validate=validators.user_name),
        metadata=docs("the roles from now on; `[]` revokes all. For admins"),
    )
    disabled = Boolean(metadata=docs("whether the user's requests are rejected. For admins"))
    new_key = Boolean(data_key="newKey", metadata=docs("create a key, which replaces an earlier one"))


def parse_user_change(body: bytes, media_type: str, *, limit_bytes: int) -> UserChange:
    """Return the change in the body. Raises `InvalidInput`, `BodyTooLarge`."""
    expected = "a mapping with some of `password`, `name`, `roles`, `disabled`, `newKey`"
    found = jobfile.parse_mapping(
        UserChangeSchema, body, media_type, expected=expected, limit_bytes=limit_bytes
    )
    return cast(UserChange, found)


def parse_user(body: bytes, media_type: str, *, limit_bytes: int) -> NewUser:
    """Return the user in the body. Raises `InvalidInput`, `BodyTooLarge`."""
    expected = "a mapping with `username` and `password`"
    found = jobfile.parse_mapping(UserSchema, body, media_type, expected=expected, limit_bytes=limit_bytes)
    return cast(NewUser, found)
