"""Who watches the logs is told by which events bugs show."""

import re

from tests.docs.documents import ROOT, section, text_of

_OF_A_BUG = re.compile(r'(?:survive_bugs\(|bug_event=)"([a-z_.]+)"')


def test_every_event_of_a_bug_is_in_the_table() -> None:
    source = "".join(file.read_text() for file in (ROOT / "tork_celery").rglob("*.py"))
    events = set(_OF_A_BUG.findall(source))
    table = section(text_of("docs/operations.md"), "## Logs")

    assert events
    assert {event for event in events if f"`{event}`" not in table} == set()
