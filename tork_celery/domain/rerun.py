"""Jobs that run again as new ones, with other inputs and secrets or another file."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tork_celery.domain.codec import decode, encode
from tork_celery.domain.definition import JobDefinition
from tork_celery.domain.errors import Fault, Forbidden, InvalidInput
from tork_celery.domain.masking import (
    REDACTED,
    MaskedValues,
    excess,
    job_values,
    located_values,
    mask_document,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rerun:
    """What a new run of a job changes: `inputs` and `secrets` replace the stored ones by key, and `file` is a
    whole job file. `[REDACTED]` in it stands for the stored value of its place."""

    inputs: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)
    file: str | None = None


def definition(
    stored: JobDefinition, change: Rerun, file: JobDefinition | None, *, keeps_secrets: bool
) -> JobDefinition:
    """Return the definition of the new run of a job.

    With a changed `file`, the new run has the stored secrets only if `keeps_secrets`: a file could print
    them. Raises InvalidInput for `[REDACTED]` in a place without a masked value, and for too many values to
    mask. Raises Forbidden for `[REDACTED]` that stands for a value that the new run must not have.
    """
    base = replace(stored, wait=None, schedule=None)
    masked = _MaskedDocument.of(base)
    new = base if file is None else masked.restore(replace(file, wait=None))
    whole = replace(new, secrets={**base.secrets, **new.secrets}, hidden=base.hidden)
    if whole == base or keeps_secrets:
        new = whole
    elif masked.restored:
        raise Forbidden(
            f"{masked.restored[0]}: only the creator of the job and admins may change its file and keep its "
            "secrets; write the value"
        )
    inputs = masked.restore_texts("inputs", change.inputs)
    secrets = masked.restore_texts("secrets", change.secrets)
    new = replace(new, inputs={**new.inputs, **inputs}, secrets={**new.secrets, **secrets})
    if fault := excess(located_values(new)):
        raise InvalidInput(Fault(path=_text(fault[0]), message=fault[1]))
    return new


Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class _MaskedDocument:
    """The document of a stored definition, `shown` as the API shows it.

    `restored` are the paths of the masked texts that were replaced by their stored value.
    """

    stored: Any
    shown: Any
    restored: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, definition: JobDefinition) -> "_MaskedDocument":
        stored = encode(definition)
        return cls(stored, mask_document(stored, {}, MaskedValues(job_values(definition))))

    def restore(self, definition: JobDefinition) -> JobDefinition:
        return decode(JobDefinition, self._restore(encode(definition), self.shown, self.stored, ()))

    def restore_texts(self, key: str, texts: Mapping[str, str]) -> Mapping[str, str]:
        restored: Mapping[str, str] = self._restore(
            dict(texts), self.shown.get(key), self.stored.get(key), (key,)
        )
        return restored

    def _restore(self, new: Any, shown: Any, stored: Any, path: Path) -> Any:
        match new:
            case str() if REDACTED in new:
                if new != shown:
                    message = f"no stored value is shown as {new[:40]!r}; write the value"
                    raise InvalidInput(Fault(path=_text(path), message=message))
                self.restored.append(_text(path))
                return stored
            case dict():
                return {
                    key: self._restore(value, _item(shown, key), _item(stored, key), (*path, key))
                    for key, value in new.items()
                }
            case list():
                return [
                    self._restore(value, _item(shown, index), _item(stored, index), (*path, index))
                    for index, value in enumerate(new)
                ]
        return new


def _item(container: Any, key: str | int) -> Any:
    try:
        return container[key]
    except (LookupError, TypeError):
        return None


def _text(path: Path) -> str:
    """Return a path as faults show it, such as `tasks[0].env.A`."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return "".join(parts).lstrip(".")
