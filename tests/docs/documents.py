"""The documentation as data: its text, sections, tables and fenced blocks."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])

_FENCED = re.compile(r"^```(?P<info>[^\n]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`([^`\n]+)`")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: what stands behind the fence, and what it holds."""

    document: Path
    line: int
    info: str
    text: str

    def __str__(self) -> str:
        return f"{name(self.document)}:{self.line}"


def name(document: Path) -> str:
    return str(document.relative_to(ROOT))


def text_of(document: str) -> str:
    return (ROOT / document).read_text()


def prose(text: str) -> str:
    """The text without its fenced blocks."""
    return _FENCED.sub("", text)


def blocks(*documents: Path) -> Iterator[Block]:
    for document in documents or DOCUMENTS:
        text = document.read_text()
        for match in _FENCED.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            yield Block(document, line, match["info"].strip(), match["text"])


def code(text: str) -> list[str]:
    """What stands between backticks in the prose, and the lines of shell blocks without their comments."""
    shell = [
        re.sub(r"\s+#.*", "", line)
        for match in _FENCED.finditer(text)
        if match["info"].strip() == "sh"
        for line in match["text"].splitlines()
    ]
    return [*_CODE.findall(prose(text)), *shell]


def section(text: str, heading: str) -> str:
    """What stands below a heading, up to the next one of its level."""
    level = heading.partition(" ")[0]
    found = re.search(
        rf"^{re.escape(heading)}$\n(.*?)(?=^#{{1,{len(level)}}} |\Z)", text, re.MULTILINE | re.DOTALL
    )
    assert found, f"there is no heading {heading!r}"
    return found[1]


def first_column(text: str) -> list[str]:
    """The code in the first column of the tables: `| `key` | ...`."""
    return re.findall(r"^\| `([^`]+)`", text, re.MULTILINE)


def headings(text: str) -> list[str]:
    return re.findall(r"^#+ (.+)$", prose(text), re.MULTILINE)
