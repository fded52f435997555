"""The base of all schemas of the job file: how a mapping is validated, and how its faults read."""

import dataclasses
import difflib
import functools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar

from marshmallow import RAISE, Schema, ValidationError

from tork_celery.domain.codec import camel
from tork_celery.jobfile.faults import Faults
from tork_celery.jobfile.source import Path, describe

REQUIRED = "required, but missing or empty"
_MAX_KEY_COMPARED = 40
_SIMILARITY = 0.7  # `imagee` is similar to `image`; `tasks` is not similar to `tags`


class MappingSchema(Schema):
    """Schema of a mapping in a job file. A key whose value is null or an empty string counts as left out.

    Its fields and validators are marshmallow's, but `load` is not, and marshmallow's hooks do not run. This
    `load` visits the keys that are present, not all that could be (a task has 28 keys and uses four), in the
    order of the file, and stops after 20 faults.
    """

    class Meta:
        unknown = RAISE

    definition: ClassVar[type[Any]]
    """The dataclass of the object that `load` returns. Each key has a field in it, in snake_case."""

    def __init__(self, *, image_required: bool = True, **options: Any) -> None:
        super().__init__(**options)
        self.image_required = image_required
        self._keys = {field.data_key or name: field for name, field in self.load_fields.items()}
        self._required = [key for key, field in self._keys.items() if field.required]

    def load(self, data: Any, **_: Any) -> Any:
        """Return the `definition` of a mapping. Raises marshmallow's `ValidationError`."""
        if not isinstance(data, Mapping):
            raise ValidationError(f"expected a mapping, got {describe(data)}")
        faults = Faults()
        values = self._load_values(data, faults)
        for key in self.requires(data):
            if data.get(key) in (None, ""):
                faults.add((key,), [REQUIRED])
        if not faults:
            for path, message in self.conflicts(values):
                faults.add(path, [message])
        faults.raise_any()
        return self.build(values)

    def requires(self, data: Mapping[str, Any]) -> Iterable[str]:
        """Return the keys that are required beside the other keys of `data`."""
        del data
        return self._required

    def conflicts(self, values: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
        """Yield the faults between values that are valid by themselves."""
        del values
        yield from ()

    def build(self, values: dict[str, Any]) -> Any:
        """Return the `definition` of valid values."""
        return self.definition(**{self._field_names[key]: value for key, value in values.items()})

    @functools.cached_property
    def _field_names(self) -> dict[str, str]:
        return field_names(self.definition)

    def _load_values(self, data: Mapping[str, Any], faults: Faults) -> dict[str, Any]:
        values = dict[str, Any]()
        for key, value in data.items():
            field = self._keys.get(key)
            if field is None:
                faults.add((key,), [_unknown_key(key, self._keys)])
            elif value is not None and value != "":
                try:
                    values[key] = field.deserialize(value)
                except ValidationError as error:
                    faults.add((key,), error.messages)
        return values


def field_names(definition: type[Any]) -> dict[str, str]:
    """Return the fields of a definition by key: `initial_delay` by `initialDelay`, `if_` by `if`."""
    return {camel(field.name): field.name for field in dataclasses.fields(definition)}


def _unknown_key(key: str, known: Iterable[str]) -> str:
    plain = {_plain(name): name for name in known}
    similar = difflib.get_close_matches(_plain(key[:_MAX_KEY_COMPARED]), plain, n=1, cutoff=_SIMILARITY)
    if similar:
        return f"unknown key; did you mean `{plain[similar[0]]}`?"
    return f"unknown key; allowed here: {', '.join(known)}"


def _plain(key: str) -> str:
    """Return the form in which `work_dir`, `workDir` and `workdir` are equal."""
    return key.lower().replace("_", "").replace("-", "")
