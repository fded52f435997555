"""The tests that docs/security.md names exist, and the docs show no password on a command line."""

import re

import pytest

from tests.docs.documents import DOCUMENTS, ROOT, blocks, text_of

PASSWORD_OPTION = re.compile(r"curl\b.*\s(?:-u|--user)[ =]?\S+:|--password[ =]\S|PGPASSWORD=\S+ ")


def test_every_named_test_exists() -> None:
    named = set(
        re.findall(r"`((?:[a-z_]+/)*(?:test_)?[a-z_]+(?:\.py)|domain/masking)`", text_of("docs/security.md"))
    )

    assert len(named) > 40
    assert {path for path in named if not (ROOT / "tests" / path).exists()} == set()


def test_every_statement_names_its_tests() -> None:
    statements = re.findall(r"^- .*?(?=^- |^$|\Z)", text_of("docs/security.md"), re.MULTILINE | re.DOTALL)

    assert len(statements) > 30
    assert [each for each in statements if not re.search(r"`[\w/]+(?:\.py|masking)`[;,.]", each)] == []


def test_no_command_has_a_password() -> None:
    shown = [str(block) for block in blocks(*DOCUMENTS) if PASSWORD_OPTION.search(block.text)]

    assert shown == []


@pytest.mark.parametrize(
    "command", ["curl -u ada:secret http://h", "curl --user=ada:p http://h", "x --password p"]
)
def test_password_of_a_command_is_recognised(command: str) -> None:
    assert PASSWORD_OPTION.search(command)
