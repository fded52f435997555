"""Writes what docs/job-file.md says of each key to tork_celery/jobfile/descriptions.json: `python -m
scripts.descriptions`. Editors show it, by the JSON Schema of job files.
"""

import json
import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
TARGET = ROOT / "tork_celery" / "jobfile" / "descriptions.json"
_ROW = re.compile(r"^\| `(?P<key>\w+)` \| (?P<type>[^|]*) \|(?P<meaning>[^|]*)\|[^|]*\|$", re.MULTILINE)
_LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")


def collected() -> str:
    """What the file is to hold."""
    text = (ROOT / "docs" / "job-file.md").read_text()
    sections = re.split(r"^## (\w+).*$", text, flags=re.MULTILINE)
    found = {heading: _keys(body) for heading, body in zip(sections[1::2], sections[2::2], strict=True)}
    named = {heading: keys for heading, keys in found.items() if keys}
    return json.dumps(named, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def _keys(section: str) -> dict[str, str]:
    meanings = {row["key"]: _plain(row["meaning"]) for row in _ROW.finditer(section)}
    return {key: meaning for key, meaning in meanings.items() if meaning}


def _plain(text: str) -> str:
    return _LINK.sub(r"\1", text).strip()


if __name__ == "__main__":
    TARGET.write_text(collected())
