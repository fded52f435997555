"""A step: what runs in one container."""

from collections.abc import Mapping
from typing import Any

from marshmallow import ValidationError, post_load, validates_schema

from tork_celery.domain.model import StepDefinition
from tork_celery.spec import rules
from tork_celery.spec.fields import REQUIRED, Text, TextMap, Texts, at_most
from tork_celery.spec.shape import Shape


class StepSchema(Shape):
    """A `pre` or `post` step, and what a task has in common with them."""

    name = Text(validate=at_most(rules.LONGEST_NAME))
    description = Text(one_line=False)
    image = Text(validate=at_most(1024))
    run = Text(one_line=False)
    cmd = Texts(Text(one_line=False))
    entrypoint = Texts(Text(one_line=False))
    env = TextMap(Text(validate=(at_most(rules.LONGEST_NAME), rules.env_name)), Text(one_line=False))
    files = TextMap(Text(validate=(at_most(rules.LONGEST_NAME), rules.file_name)), Text(one_line=False))
    timeout = Text(validate=rules.duration, hint="write it like 90s or 1h30m")

    @validates_schema(pass_original=True, skip_on_field_errors=False)
    def require_image(self, _data: Any, original: Mapping[str, Any], **_: Any) -> None:
        if self.image_required and original.get("image") in (None, ""):
            raise ValidationError(REQUIRED, "image")

    @post_load
    def build(self, data: dict[str, Any], **_: Any) -> Any:
        return StepDefinition(**data)
