"""The parameters of queries, as the description of the API describes them."""

from tork_celery.api.request_parsing import MAX_LIST_SIZE
from tork_celery.api.response_schemas import TEXT
from tork_celery.api.text_log_responses import MOST_TAIL_LINES
from tork_celery.domain.codec import Document
from tork_celery.domain.identifiers import LONGEST_NAME
from tork_celery.domain.search import LONGEST_QUERY
from tork_celery.domain.states import TaskState
from tork_celery.domain.streams import MAX_TOPICS

PARAMETERS: dict[str, Document] = {
    "topic": {
        "name": "topic",
        "required": True,
        "schema": {
            "type": "array",
            "minItems": 1,
            "maxItems": MAX_TOPICS,
            "items": {"type": "string", "pattern": "^(jobs|job:.+|log:.+)$"},
        },
    },
    "tail": {"name": "tail", "schema": {"type": "integer", "minimum": 1, "maximum": 10**9}},
    "after": {"name": "after", "schema": {"type": "string"}},
    "page": {"name": "page", "schema": {"type": "integer", "minimum": 1, "maximum": 10**9, "default": 1}},
    "size": {"name": "size", "schema": {"type": "integer", "minimum": 1, "maximum": 20, "default": 10}},
    "list_size": {
        "name": "size",
        "schema": {"type": "integer", "minimum": 1, "maximum": MAX_LIST_SIZE, "default": 10},
    },
    "from": {"name": "from", "schema": {"type": "string", "maxLength": LONGEST_NAME}},
    "only": {"name": "only", "schema": {"enum": ["true", "false"], "default": "false"}},
    "log_size": {"name": "size", "schema": {"type": "integer", "minimum": 1, "maximum": 100, "default": 25}},
    "format": {"name": "format", "schema": {"enum": ["json", "text"]}},
    "step": {"name": "step", "schema": TEXT},
    "log_tail": {"name": "tail", "schema": {"type": "integer", "minimum": 0, "maximum": MOST_TAIL_LINES}},
    "timestamps": {"name": "timestamps", "schema": {"enum": ["true", "false"], "default": "false"}},
    "download": {"name": "download", "schema": {"enum": ["true", "false"], "default": "false"}},
    "q": {"name": "q", "schema": {"type": "string", "maxLength": LONGEST_QUERY}},
    "id": {"name": "id", "schema": {"type": "string", "pattern": "^[0-9a-f]{4,32}$"}},
    "since": {"name": "since", "schema": {"type": "string", "format": "date-time"}},
    "until": {"name": "until", "schema": {"type": "string", "format": "date-time"}},
    "state": {"name": "state", "schema": {"type": "string", "enum": list(TaskState)}},
    "parent": {"name": "parent", "schema": TEXT},
    "schedule": {"name": "schedule", "schema": TEXT},
    "queue": {"name": "queue", "schema": TEXT},
    "job": {"name": "job", "schema": TEXT},
}
"""The parameters by the name that routes give; `size` has several."""
