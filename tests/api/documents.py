"""Documents in responses of the API."""

from typing import Any

from werkzeug.test import TestResponse


def document(response: TestResponse) -> Any:
    """Return the JSON document of a response; fail when it has none."""
    assert response.is_json, response.text
    return response.json
