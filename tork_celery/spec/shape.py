"""What all mappings of a job file have in common: how keys are taken, and how their faults read."""

import difflib
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

from marshmallow import EXCLUDE, Schema, ValidationError, pre_load, validates_schema

from tork_celery.spec.faults import MOST_FAULTS

_LONGEST_KEY_COMPARED = 40
_NEAR = 0.7  # `imagee` is near `image`; `tasks` is not near `tags`


class Shape(Schema):
    """A mapping of the job file. A key that holds nothing, or an empty string, counts as left out.

    `load` expects a mapping. It gives a domain object or raises marshmallow's `ValidationError`.
    """

    class Meta:
        unknown = EXCLUDE  # `refuse_unknown_keys` does, with better messages

    def __init__(self, *, image_required: bool = True, **options: Any) -> None:
        super().__init__(**options)
        self.image_required = image_required

    @pre_load
    def leave_out_empty(self, data: Mapping[str, Any], **_: Any) -> Mapping[str, Any]:
        if any(value is None or value == "" for value in data.values()):
            return {key: value for key, value in data.items() if value is not None and value != ""}
        return data

    @validates_schema(pass_original=True, skip_on_field_errors=False)
    def refuse_unknown_keys(self, _data: Any, original: Mapping[str, Any], **_: Any) -> None:
        known = self.load_fields
        if not original.keys() <= known.keys():
            unknown = islice((key for key in original if key not in known), MOST_FAULTS)
            raise ValidationError({key: [_unknown_key(key, known)] for key in unknown})


def _unknown_key(key: str, known: Iterable[str]) -> str:
    plain = {_plain(name): name for name in known}
    near = difflib.get_close_matches(_plain(key[:_LONGEST_KEY_COMPARED]), plain, n=1, cutoff=_NEAR)
    if near:
        return f"unknown key; did you mean `{plain[near[0]]}`?"
    return f"unknown key; allowed here: {', '.join(known)}"


def _plain(key: str) -> str:
    """`work_dir`, `workDir` and `workdir` are one."""
    return key.lower().replace("_", "").replace("-", "")
