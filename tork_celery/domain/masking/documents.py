"""Mask the documents that the API shows: what users wrote and what their tasks printed, and nothing else.

Times, states, types, events and ids are no user's text. Masked, they would be unreadable, and would tell a
value that is a part of them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from tork_celery.domain.codec import Document
from tork_celery.domain.definition import JobDefinition
from tork_celery.domain.identifiers import LONGEST_NAME
from tork_celery.domain.masking.masker import REDACTED, Mask, Masker
from tork_celery.domain.masking.value_sets import MaskedValues
from tork_celery.domain.masking.values import hidden_values, is_secret, job_values
from tork_celery.domain.queue_names import DEFAULT_QUEUE

_FIXED_TEXTS = frozenset(
    {"id", "type", "event", "cron"}
)  # keys of a definition whose values are no free text
_TEXT_FIELDS = frozenset({"result", "error", "context"})
_SECRET_BY_KEY = frozenset({"env", "inputs", "headers"})
_MAPPINGS_OF_USERS = _SECRET_BY_KEY | {"secrets", "files", "opts", "tasks"}  # tasks: the context's results


def conceal(definition: JobDefinition) -> JobDefinition:
    """Return the definition of a new job with all values to mask in it, and with its name masked.

    The name is shown where nothing is known of the job's values, for example in Flower.
    """
    concealed = replace(definition, hidden=hidden_values(definition))
    return replace(concealed, name=mask_name(definition.name, MaskedValues(job_values(concealed)).mask))


def mask_name(name: str, mask: Mask) -> str:
    """Return a name with all values masked, at most as long as a name may be."""
    return mask(name)[:LONGEST_NAME]


def mask_document(definition: Document, fields: Document, values: MaskedValues) -> Document:
    """Return the document of a definition and of further fields, with the secrets in it masked.

    Of the fields only `result`, `error` and `context` are masked. They come after the definition, whose keys
    they replace.
    """
    texts = definition | {key: value for key, value in fields.items() if key in _TEXT_FIELDS}
    masker = values.masker_for(list(_all_texts(texts)) if values.sets else ())
    masked = _mask_mapping(texts, masker)
    system = {key: value for key, value in fields.items() if key not in _TEXT_FIELDS}
    return {key: system[key] if key in system else masked[key] for key in definition | fields}


def _mask_mapping(document: Document, masker: Masker) -> Document:
    """Mask a mapping with the keys of job files."""
    return {
        key: value if key in _FIXED_TEXTS else _mask_value(key, value, masker)
        for key, value in document.items()
    }


def _mask_value(key: str, value: Any, masker: Masker) -> Any:
    match value:
        case str():
            return value if (key, value) == ("queue", DEFAULT_QUEUE) else _mask(value, masker)
        case list():
            return [_mask_value("", item, masker) for item in value]
        case dict() if key in _MAPPINGS_OF_USERS:
            return _mask_user_mapping(_redact_by_key(key, value), masker)
        case dict():
            return _mask_mapping(_redact_by_key(key, value), masker)
    return value


def _redact_by_key(key: str, mapping: Document) -> Document:
    """Replace the values that are secret by their place or key, however short they are."""
    if key == "secrets":
        return dict.fromkeys(mapping, REDACTED)
    if key == "registry":
        return mapping | {"password": REDACTED}
    if key in _SECRET_BY_KEY:
        return {name: REDACTED if is_secret(name) else text for name, text in mapping.items()}
    return mapping


def _mask_user_mapping(texts: Mapping[str, str], masker: Masker) -> Document:
    """Mask a mapping whose keys a user chose. Keys that would be equal are numbered."""
    masked = Document()
    for key, text in texts.items():
        shown = name = masker.mask(key)
        number = 2
        while shown in masked:
            shown, number = f"{name} {number}", number + 1
        masked[shown] = _mask(text, masker)
    return masked


def _mask(text: str, masker: Masker) -> str:
    return text if text == REDACTED else masker.mask(text)


def _all_texts(document: Any) -> Iterator[str]:
    """Yield all texts of a document, keys included."""
    if isinstance(document, str):
        yield document
    elif isinstance(document, dict):
        yield from document
        for value in document.values():
            yield from _all_texts(value)
    elif isinstance(document, list):
        for item in document:
            yield from _all_texts(item)
