"""What all mappings of a job file have in common: how keys are taken, and how their faults read."""

import difflib
import re
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from marshmallow import RAISE, Schema, ValidationError

from tork_celery.jobfile.faults import Faults
from tork_celery.jobfile.source import Path
from tork_celery.jobfile.texts import described

REQUIRED = "required, but it is missing or empty"
_LONGEST_KEY_COMPARED = 40
_UPPER = re.compile("[A-Z]")
_KEYWORDS = {"if": "if_"}
_NEAR = 0.7  # `imagee` is near `image`; `tasks` is not near `tags`


class MappingSchema(Schema):
    """A mapping of the job file. A key that holds nothing, or an empty string, counts as left out.

    Its fields and validators are marshmallow's; `load` is not, and marshmallow's hooks do not run. This
    one looks at the keys that are there and not at all that there could be (a task has 20 and uses
    four), takes them in the order of the file, and stops at 20 faults.
    """

    class Meta:
        unknown = RAISE

    def __init__(self, *, image_required: bool = True, **options: Any) -> None:
        super().__init__(**options)
        self.image_required = image_required
        self._keys = {field.data_key or name: field for name, field in self.load_fields.items()}
        self._required = [key for key, field in self._keys.items() if field.required]

    def load(self, data: Any, **_: Any) -> Any:
        """The domain object. Raises marshmallow's `ValidationError`."""
        if not isinstance(data, Mapping):
            raise ValidationError(f"expected a mapping, got {described(data)}")
        faults, values = Faults(), dict[str, Any]()
        for key, value in data.items():
            field = self._keys.get(key)
            if field is None:
                faults.add((key,), [_unknown_key(key, self._keys)])
            elif value is not None and value != "":
                try:
                    values[key] = field.deserialize(value)
                except ValidationError as error:
                    faults.add((key,), error.messages)
        for path, message in self._missing(data):
            faults.add(path, [message])
        if not faults:
            for path, message in self.conflicts(values):
                faults.add(path, [message])
        faults.raise_any()
        return self.build(values)

    def requires(self, data: Mapping[str, Any]) -> Iterable[str]:
        """The keys that must be there, given what else is."""
        del data
        return self._required

    def conflicts(self, values: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
        """What is wrong between values that are right by themselves."""
        del values
        yield from ()

    @abstractmethod
    def build(self, values: dict[str, Any]) -> Any:
        """The domain object of valid values."""

    def _missing(self, data: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
        for key in self.requires(data):
            if data.get(key) in (None, ""):
                yield (key,), REQUIRED


def renamed(values: dict[str, Any]) -> dict[str, Any]:
    """With the keys of a file, `initialDelay` and `if`, as the domain names them: `initial_delay`, `if_`."""
    return {_KEYWORDS.get(key) or _UPPER.sub(r"_\g<0>", key).lower(): value for key, value in values.items()}


def _unknown_key(key: str, known: Iterable[str]) -> str:
    plain = {_plain(name): name for name in known}
    near = difflib.get_close_matches(_plain(key[:_LONGEST_KEY_COMPARED]), plain, n=1, cutoff=_NEAR)
    if near:
        return f"unknown key; did you mean `{plain[near[0]]}`?"
    return f"unknown key; allowed here: {', '.join(known)}"


def _plain(key: str) -> str:
    """`work_dir`, `workDir` and `workdir` are one."""
    return key.lower().replace("_", "").replace("-", "")
