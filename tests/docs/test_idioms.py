"""Docstrings, comments, docs and test names are plain technical English, without a short list of idioms.

`CONTRIBUTING.md` says what to write instead: the field's word, a verb first, one idea a sentence.
"""

import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.documents import DOCUMENTS, ROOT, name

IDIOMS = (
    "again and again",
    "so long(?! as)",
    "so many",
    "for good",
    "bec(?:ome|omes|ame) of",
    "made up for",
    "(?:whose|its|their|gives?|gets?|gave|got|has|have|had) (?:a |the |its |their )?turns?",
    "whom(?:ever)?",
    "whoever",
    "what there is",
    "is to be had",
    "by and by",
    "behind the back",
    "of its own kind",
    "(?:take[sn]?|took) up",
    "lets? go of",
    "hears? of",
    "heard of",
    "told of",
    "there (?:is|are) none",
    "at will",
)
BANNED = re.compile(rf"\b(?:{'|'.join(IDIOMS)})\b", re.IGNORECASE)
SOURCES = ("tork_celery", "tests", "scripts", "bench")


def prose(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the docstrings, comments and function names of a module, each with its line number."""
    previous = None
    for token in tokenize.generate_tokens(io.StringIO(path.read_text()).readline):
        docstring = token.type == tokenize.STRING and token.string.startswith('"""')
        if token.type == tokenize.COMMENT or docstring:
            yield token.start[0], " ".join(token.string.split())
        elif token.type == tokenize.NAME and previous == "def":
            yield token.start[0], token.string.replace("_", " ")
        previous = token.string


@pytest.mark.parametrize("folder", SOURCES)
def test_code_has_no_banned_idiom(folder: str) -> None:
    found = [
        f"{name(path)}:{line}: {found[0]}"
        for path in sorted((ROOT / folder).rglob("*.py"))
        if path != Path(__file__)
        for line, text in prose(path)
        if (found := BANNED.search(text))
    ]

    assert found == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_document_has_no_banned_idiom(path: Path) -> None:
    text = path.read_text()
    found = [
        f"{text.count(chr(10), 0, match.start()) + 1}: {match[0]}"
        for match in BANNED.finditer(re.sub(r"\s", " ", text))
    ]

    assert found == []


@pytest.mark.parametrize(
    "text",
    [
        "What this node has stays its own for so long",
        "a child whose turn has come",
        "tell whom it concerns",
        "it is done again and again",
        "what has become of it",
    ],
)
def test_an_idiom_is_recognised(text: str) -> None:
    assert BANNED.search(text)
