"""Masking of secrets: values that are secret by their place or their key, wherever they show.

`values` says which values are masked, and `forms` in which forms they may show. `matcher` finds them,
`masker` masks what it finds, and `value_sets` keeps what is needed for that. `documents` masks what the API
shows.
"""

from tork_celery.domain.masking.documents import conceal, mask_document, mask_name
from tork_celery.domain.masking.masker import REDACTED, Mask, Masker, StreamMask
from tork_celery.domain.masking.value_sets import MaskedValues
from tork_celery.domain.masking.values import (
    excess,
    hidden_values,
    is_secret,
    job_values,
    located_values,
    rendered_values,
    task_values,
)

__all__ = [
    "REDACTED",
    "Mask",
    "MaskedValues",
    "Masker",
    "StreamMask",
    "conceal",
    "excess",
    "hidden_values",
    "is_secret",
    "job_values",
    "located_values",
    "mask_document",
    "mask_name",
    "rendered_values",
    "task_values",
]
