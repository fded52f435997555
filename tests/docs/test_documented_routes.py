"""The routes that the documentation lists are those that the API has."""

import json
import re
from collections.abc import Iterator
from typing import cast

import pytest

from tests.docs.documents import ROOT, Block, blocks, text_of
from tork_celery.api import create_app
from tork_celery.api.context import ApiContext
from tork_celery.services.context import ServiceContext


class NoCoordinator:
    """Asked for nothing: only the routes are looked at."""


def routes() -> Iterator[str]:
    app = create_app(ApiContext(services=cast(ServiceContext, NoCoordinator()), body_limit_bytes=1))
    for rule in app.url_map.iter_rules():
        path = re.sub(r"<[^>]+>", "{id}", rule.rule)
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            yield f"{method} {path}"


def test_every_route_is_documented_and_every_documented_route_exists() -> None:
    documented = re.findall(r"`((?:GET|POST|PUT|PATCH|DELETE) /[^`?\s]*)`", text_of("docs/api.md"))
    assert set(documented) == set(routes())


@pytest.mark.parametrize(
    "block", [block for block in blocks(ROOT / "docs" / "api.md") if block.info == "json"], ids=str
)
def test_every_answer_that_is_shown_is_json(block: Block) -> None:
    json.loads(block.text)
