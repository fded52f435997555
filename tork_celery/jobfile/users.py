"""A user who is to be added, as a client writes it."""

from typing import Any

from tork_celery.domain import user
from tork_celery.domain.user import NewUser
from tork_celery.jobfile import validators
from tork_celery.jobfile.fields import Text, at_most
from tork_celery.jobfile.mapping_schema import MappingSchema


class UserSchema(MappingSchema):
    username = Text(required=True, validate=validators.user_name)
    password = Text(required=True, validate=at_most(user.LONGEST_PASSWORD))
    name = Text(validate=at_most(user.LONGEST_DISPLAY_NAME))

    def build(self, values: dict[str, Any]) -> NewUser:
        return NewUser(**values)
