"""The web pages in a real browser, on a running installation."""

from collections.abc import Iterator
from typing import Any

import psutil
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.system.browser import WAIT_MS, running_browser, watched_pages
from tests.system.installation import Installation, running_installation

SHELL = {"TORK_RUNTIME": "shell", "TORK_SHELL_ALLOW_ROOT": "true", "TORK_SHELL": "sh -c"}
PAGES = ["/ui", "/ui/new", "/ui/schedules", "/ui/queues", "/ui/nodes", "/ui/system"]
PHONE = {"width": 390, "height": 844}
ANSI_AND_HTML = r"printf '\033[31mred\033[0m <script>alert(1)</script>\n'"
LONG_LOG_LINES = 100_000
LINES_IN_PAGE = 50_000

expect.set_options(timeout=WAIT_MS)


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    data_dir = tmp_path_factory.mktemp("pages") / "data"
    with running_installation(data_dir, "--queue", "default:4", environment=SHELL) as installation:
        yield installation


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with running_browser() as browser:
        yield browser


@pytest.fixture
def profile(browser: Browser, installation: Installation) -> Iterator[BrowserContext]:
    with watched_pages(browser, installation.url) as profile:
        yield profile


@pytest.fixture
def page(profile: BrowserContext) -> Page:
    return profile.new_page()


def job_of(*tasks: dict[str, Any], name: str = "a job") -> dict[str, Any]:
    return {"name": name, "tasks": list(tasks)}


def task_of(script: str, name: str = "t") -> dict[str, Any]:
    return {"name": name, "run": script}


def open_job(page: Page, installation: Installation, job: dict[str, Any]) -> str:
    job_id: str = installation.post("/jobs", job)["id"]
    page.goto(f"/ui/jobs/{job_id}")
    return job_id


def state(page: Page, text: str) -> None:
    """Wait until the job of a page is in a state."""
    expect(page.locator("#job-head .title-line")).to_contain_text(text)


def log_lines(page: Page) -> Any:
    return page.locator(".log-lines .l")


def submit_in_editor(page: Page, text: str) -> None:
    """Submit a file by the keyboard, as soon as the editor has checked it."""
    page.locator("textarea").fill(text)
    expect(page.locator("#faults")).to_contain_text("No faults")
    page.locator("textarea").press("Control+Enter")


def test_job_is_submitted_in_the_editor_and_watched_live(page: Page) -> None:
    page.goto("/ui")
    page.get_by_role("link", name="New job").first.click()
    script = "for i in 1 2 3; do echo line $i; sleep 0.3; done"
    submit_in_editor(page, f"name: from the editor\ntasks:\n  - name: t\n    run: {script}\n")

    page.wait_for_url("**/ui/jobs/*")
    state(page, "Completed")
    expect(log_lines(page).filter(has_text="line 3")).to_have_count(1)


def test_editor_shows_faults_while_one_types(page: Page) -> None:
    page.goto("/ui/new")
    page.locator("textarea").fill("name: x\ntsks: []\n")

    expect(page.locator("#faults")).to_contain_text("tsks")


def test_failed_job_opens_at_its_error_and_can_be_restarted(page: Page, installation: Installation) -> None:
    script = "test -e $FLAG && exit 0; touch $FLAG; echo before; echo broken >&2; exit 3"
    flag = {"FLAG": str(installation.data_dir.parent / "restarted")}
    open_job(page, installation, job_of(task_of("true", "good"), {**task_of(script, "bad"), "env": flag}))

    state(page, "Failed")
    page.reload()
    expect(page.locator(".panel h2")).to_contain_text("bad")
    expect(page.locator(".log-lines .err")).to_contain_text("broken")

    page.get_by_role("button", name="Restart").click()
    state(page, "Completed")


def test_running_job_is_cancelled(page: Page, installation: Installation) -> None:
    open_job(page, installation, job_of(task_of("sleep 300")))
    state(page, "Running")

    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("dialog").get_by_role("button").last.click()

    state(page, "Cancelled")


def test_job_runs_again_with_an_edited_file(page: Page, installation: Installation) -> None:
    job_id = open_job(page, installation, job_of(task_of("echo first"), name="edited"))
    state(page, "Completed")

    page.goto(f"/ui/jobs/{job_id}/edit")
    text = page.locator("textarea").input_value()
    submit_in_editor(page, text.replace("echo first", "echo second"))

    page.wait_for_url(lambda url: "/ui/jobs/" in url and job_id not in url)
    expect(log_lines(page).filter(has_text="second")).to_have_count(1)


def test_page_follows_a_job_across_a_restart_of_the_api(page: Page, installation: Installation) -> None:
    script = "for i in 1 2 3 4 5 6 7 8 9 10; do echo line $i; sleep 0.5; done"
    open_job(page, installation, job_of(task_of(script)))
    expect(log_lines(page).filter(has_text="line 2")).to_have_count(1)

    assert installation.process is not None
    children = psutil.Process(installation.process.pid).children()
    next(child for child in children if "api" in child.cmdline()).kill()

    state(page, "Completed")
    expect(log_lines(page).filter(has_text="line 10")).to_have_count(1)
    assert log_lines(page).filter(has_text="line").count() == 10


def test_text_of_a_log_is_never_html(page: Page, installation: Installation) -> None:
    open_job(page, installation, job_of(task_of(ANSI_AND_HTML)))

    expect(log_lines(page).first).to_contain_text("red <script>alert(1)</script>")


def test_long_log_is_searched_by_the_browser_and_linked_by_line(
    page: Page, profile: BrowserContext, installation: Installation
) -> None:
    script = f"seq 1 {LONG_LOG_LINES}; echo -n done > $TORK_OUTPUT"
    job_id = installation.post("/jobs", job_of(task_of(script)))["id"]
    [task] = installation.wait_for_job(job_id)["execution"]

    page.goto(f"/ui/tasks/{task['id']}/log")
    expect(log_lines(page).last).to_contain_text(str(LONG_LOG_LINES))
    assert log_lines(page).count() <= LINES_IN_PAGE + 1000
    assert page.evaluate(f"window.find('{LONG_LOG_LINES - 7}')")

    linked = profile.new_page()
    linked.goto(f"/ui/tasks/{task['id']}/log#step-0-L{LONG_LOG_LINES - 20}")
    expect(linked.locator(f"#step-0-L{LONG_LOG_LINES - 20}")).to_be_in_viewport()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_are_accessible(browser: Browser, installation: Installation, scheme: str) -> None:
    job_id = installation.post("/jobs", job_of(task_of(f"{ANSI_AND_HTML}; exit 1"), name=scheme))["id"]
    installation.wait_for_job(job_id)
    with watched_pages(browser, installation.url, color_scheme=scheme) as profile:
        page = profile.new_page()
        for path in [*PAGES, f"/ui/jobs/{job_id}", f"/ui/jobs/{job_id}/definition"]:
            page.goto(path)
            page.wait_for_load_state("load")
            found = Axe().run(page).response["violations"]
            serious = [each for each in found if each["impact"] in ("serious", "critical")]
            nodes = [(each["id"], [node["html"] for node in each["nodes"]]) for each in serious]
            assert nodes == [], path


def test_pages_fit_a_phone(browser: Browser, installation: Installation) -> None:
    job_id = installation.post("/jobs", job_of(task_of("echo x")))["id"]
    with watched_pages(browser, installation.url, viewport=PHONE) as profile:
        page = profile.new_page()
        for path in [*PAGES, f"/ui/jobs/{job_id}"]:
            page.goto(path)
            assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], path
