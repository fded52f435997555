"""Ids as users write them: whole, as a unique prefix, or `@latest`."""

import re

from tork_celery.cli.client import Client, Document
from tork_celery.domain.errors import InvalidInput, NotFound

LATEST = "@latest"
_WHOLE = re.compile(r"[0-9a-f]{32}")
_PREFIX = re.compile(r"[0-9a-f]{4,31}")
SHORTEST_PREFIX = 4
_SHOWN = 5


def job_id(client: Client, text: str) -> str:
    """Return the id of the job that `text` means. Raises NotFound, and InvalidInput if it is ambiguous."""
    return _resolve(client, "jobs", "job", text)


def task_id(client: Client, text: str) -> str:
    """Return the id of the task that `text` means. Raises NotFound, and InvalidInput if it is ambiguous."""
    return _resolve(client, "tasks", "task", text)


def schedule_id(client: Client, text: str) -> str:
    """Return the id of the schedule that `text` means. Raises like `job_id`."""
    if _WHOLE.fullmatch(text):
        return text
    matches = [each for each in client.pages("scheduled-jobs", size=20) if each["id"].startswith(text)]
    return _only("schedule", "schedules", text, matches if _PREFIX.fullmatch(text) else [])


def _resolve(client: Client, route: str, kind: str, text: str) -> str:
    if _WHOLE.fullmatch(text):
        return text
    if text == LATEST:
        if found := client.get(route, size=1)["items"]:
            return str(found[0]["id"])
        raise NotFound(f"there is no {kind} yet")
    matches = client.get(route, id=text, size=_SHOWN)["items"] if _PREFIX.fullmatch(text) else []
    return _only(kind, route, text, matches)


def _only(kind: str, command: str, text: str, matches: list[Document]) -> str:
    """Return the id of the one match."""
    if not matches:
        raise NotFound(
            f"no {kind} with the id {text!r}; write the id, or its first {SHORTEST_PREFIX} digits or more; "
            f"`tork-celery {command}` lists the ids"
        )
    if len(matches) > 1:
        listed = "\n".join(f"  {item['id']}  {item.get('name', '')}" for item in matches)
        raise InvalidInput(f"{text!r} is the beginning of several ids; write more digits:\n{listed}")
    return str(matches[0]["id"])
