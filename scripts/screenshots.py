"""Make the screenshots of the web pages in docs/images: `make screenshots`."""

import tempfile
import time
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

from tests.system.browser import running_browser, watched_pages
from tests.system.installation import Installation, running_installation

IMAGES = Path(__file__).parents[1] / "docs" / "images"
SIZE = {"width": 1280, "height": 800}
SHELL = {"TORK_RUNTIME": "shell", "TORK_SHELL_ALLOW_ROOT": "true", "TORK_SHELL": "sh -c"}
_COMPILE = r"""
echo 'compiling 214 files'; sleep 0.4
printf '\033[32mok\033[0m   parser.c\n\033[32mok\033[0m   lexer.c\n'; sleep 0.4
printf '\033[1;31merror:\033[0m planner.c:12: expected `;` before `}`\n' >&2
exit 2
"""
REPORT: dict[str, Any] = {
    "name": "nightly report",
    "tags": ["nightly", "shop"],
    "inputs": {"months": "January February March"},
    "output": "{{ tasks.total }} pages",
    "tasks": [
        {"name": "prepare", "run": "echo reading; sleep 0.8; echo 1,214 rows"},
        {
            "name": "for each month",
            "each": {
                "list": '{{ split(inputs.months, " ") }}',
                "task": {
                    "name": "draw {{ item.value }}",
                    "run": "echo drawing $MONTH; sleep 1.2",
                    "env": {"MONTH": "{{ item.value }}"},
                },
            },
        },
        {"name": "count", "var": "total", "run": "echo counting; sleep 0.4; echo -n 42 > $TORK_OUTPUT"},
    ],
}
BUILD: dict[str, Any] = {
    "name": "build",
    "tags": ["main"],
    "tasks": [
        {"name": "fetch", "run": "echo cloning; sleep 0.6"},
        {"name": "compile", "run": _COMPILE, "retry": {"limit": 2, "initialDelay": "1s"}},
        {"name": "publish", "run": "true"},
    ],
}


def main() -> None:
    IMAGES.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="tork-") as directory,
        running_installation(
            Path(directory) / "data", "--queue", "default:3", environment=SHELL
        ) as installation,
        running_browser() as browser,
        watched_pages(browser, installation.url, viewport=SIZE) as profile,
    ):
        failed = _submit_jobs(installation)
        page = profile.new_page()
        _save(page, "/ui", "jobs")
        _save(page, f"/ui/jobs/{failed['id']}", "job")
        _save(page, f"/ui/tasks/{failed['execution'][-1]['id']}/log?times=relative", "log")
        _save(page, "/ui/new?example=each", "new-job")


def _submit_jobs(installation: Installation) -> dict[str, Any]:
    """Run a few jobs, and return the one that failed. The last one is still running."""
    for _ in range(3):
        installation.wait_for_job(installation.post("/jobs", REPORT)["id"])
    failed = installation.wait_for_job(installation.post("/jobs", BUILD)["id"])
    installation.wait_for_job(installation.post("/jobs", REPORT)["id"])
    installation.post("/jobs", REPORT)
    time.sleep(1.5)  # it has run for a while
    return failed


def _save(page: Page, path: str, name: str) -> None:
    page.goto(path)
    page.wait_for_timeout(800)  # live parts are drawn
    page.screenshot(path=IMAGES / f"{name}.png")
    print(f"docs/images/{name}.png")


if __name__ == "__main__":
    main()
