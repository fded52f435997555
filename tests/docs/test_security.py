"""The tests that docs/security.md names exist."""

import re

from tests.docs.documents import ROOT, text_of


def test_every_named_test_exists() -> None:
    named = set(re.findall(r"`((?:[a-z_]+/)+[a-z_]+(?:\.py)?)`", text_of("docs/security.md")))

    assert len(named) > 15
    assert {path for path in named if not (ROOT / "tests" / path).exists()} == set()
