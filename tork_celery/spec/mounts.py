"""What is mounted into a task's containers."""

from typing import Any

from marshmallow import ValidationError

from tork_celery.domain.model import Mount
from tork_celery.spec import rules
from tork_celery.spec.fields import Text
from tork_celery.spec.shape import Shape


def _known_type(name: str) -> None:
    if name != "volume":
        raise ValidationError("expected `volume`")


def _no_source(_: str) -> None:
    raise ValidationError("a mount of type `volume` has no source; remove it")


class MountSchema(Shape):
    type = Text(required=True, validate=_known_type)
    source = Text(validate=_no_source)
    target = Text(required=True, validate=rules.target)

    def build(self, values: dict[str, Any]) -> Mount:
        return Mount(**values)
