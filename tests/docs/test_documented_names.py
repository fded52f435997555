"""Paths, links, targets and commands that the documentation names are there."""

import re
from pathlib import Path
from urllib.parse import unquote

import click
import pytest

from tests.docs.documents import DOCUMENTS, ROOT, code, headings, name, prose, text_of
from tork_celery.cli.main import cli

COMMANDS = cli.list_commands(click.Context(cli))
EVERY_DOCUMENT = pytest.mark.parametrize("document", DOCUMENTS, ids=name)


def anchor(heading: str) -> str:
    """As GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@EVERY_DOCUMENT
def test_every_relative_link_leads_somewhere(document: Path) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", prose(document.read_text()))
    broken = []
    for link in links:
        path, _, fragment = unquote(link).partition("#")
        if re.match(r"\w+:", path):
            continue
        target = (document.parent / path).resolve() if path else document
        if not target.exists() or (fragment and fragment not in map(anchor, headings(target.read_text()))):
            broken.append(link)
    assert broken == []


def test_every_path_in_the_architecture_exists() -> None:
    text = text_of("ARCHITECTURE.md")
    layers = re.findall(r"[\w/]+(?:/(?=\s)|\.py\b)", "".join(re.findall(r"```\n(.*?)```", text, re.DOTALL)))
    named = [word for word in code(text) if re.fullmatch(r"[\w./-]+(/|\.\w+)", word)]
    paths = {
        word for word in [*layers, *named] if not word.startswith(("tork.", "."))
    }  # tork.main and its kind are Celery tasks
    missing = {
        path for path in paths if not (ROOT / path).exists() and not (ROOT / "tork_celery" / path).exists()
    }
    assert len(paths) > 40
    assert missing == set()


@EVERY_DOCUMENT
def test_every_make_target_exists(document: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", text_of("Makefile"), re.MULTILINE))
    named = {found[1] for word in code(document.read_text()) if (found := re.match(r"make ([a-z]+)", word))}
    assert named <= targets


@EVERY_DOCUMENT
def test_every_command_exists(document: Path) -> None:
    found = re.findall(r"tork-celery ([a-z]+)", "\n".join(code(document.read_text())))
    assert set(found) <= set(COMMANDS)


def test_every_command_is_documented() -> None:
    everything = "\n".join(word for document in DOCUMENTS for word in code(document.read_text()))
    assert {command for command in COMMANDS if f"tork-celery {command}" not in everything} == set()
