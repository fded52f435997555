"""The example jobs run unchanged, apart from the addresses of public hosts."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
import requests
import yaml
from docker.models.containers import Container
from imageio_ffmpeg import get_ffmpeg_exe

from tests.eventually import eventually
from tests.system.installation import Installation

EXAMPLES = Path(__file__).parents[2] / "examples"
SOURCE_HOST, TARGET_HOST = "https://upload.wikimedia.org", "https://devnull-as-a-service.com"

# busybox httpd serves the files in /www. A CGI script stores the body of a POST.
SERVER = """
mkdir -p /www/cgi-bin
cat > /www/cgi-bin/take <<'END'
#!/bin/sh
head -c "$CONTENT_LENGTH" > /www/received.mp4
printf 'Content-Type: text/plain\\r\\n\\r\\ntaken\\n'
END
chmod +x /www/cgi-bin/take
exec httpd -f -p 80 -h /www
"""


@pytest.fixture
def server(engine: docker.DockerClient) -> Iterator[Container]:
    """A web server in a container, which replaces the two public hosts."""
    container = engine.containers.run("busybox:stable", ["sh", "-c", SERVER], detach=True, init=True)
    try:
        yield container
    finally:
        container.remove(force=True, v=True)


def test_run_prints_the_result_of_hello(installation: Installation) -> None:
    completed = subprocess.run(
        [Path(sys.executable).parent / "tork-celery", "run", EXAMPLES / "hello.yaml"],
        env={**installation.environment, "TORK_URL": installation.url},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert completed.stdout.strip() == "hello world"


@pytest.mark.parametrize(
    ("example", "result", "logged"),
    [
        ("job.yaml", None, []),
        ("webhooks.yaml", "all is well", []),
        ("permissions.yaml", None, []),
        ("wait.yaml", "42", []),
        ("parallel.yaml", "30 and 12", []),
        ("each.yaml", None, ["0: Ada", "1: Grace", "2: Edsger"]),
        ("subjob.yaml", "February has 29 days", []),
        ("needs.yaml", "published a.c+b.c", ["checking a.c b.c"]),
        ("allow-failure.yaml", "built", ["a line is too long"]),
        ("expressions.yaml", "hello Ada and Grace", ["logged in by [REDACTED]"]),
    ],
)
def test_job_example_has_the_documented_result(
    installation: Installation, example: str, result: str | None, logged: list[str]
) -> None:
    text = (EXAMPLES / example).read_text()
    posted = installation.post("/jobs", yaml.safe_load(text))

    job = installation.wait_for_job(posted["id"])

    assert (job["state"], job.get("result")) == ("COMPLETED", result), job.get("error")
    log = installation.read_log(f"/jobs/{job['id']}")
    assert [line for line in logged if line not in log] == []
    for secret in yaml.safe_load(text).get("secrets", {}).values():
        assert secret not in log + str(job)


def test_fail_fast_example_runs_the_branch_that_does_not_need_the_failed_task(
    installation: Installation,
) -> None:
    posted = installation.post("/jobs", yaml.safe_load((EXAMPLES / "fail-fast.yaml").read_text()))

    job = installation.wait_for_job(posted["id"])

    states = {task["name"]: task["state"] for task in job["execution"]}
    assert states == {"north": "FAILED", "report north": "SKIPPED", "south": "COMPLETED"}
    assert (job["state"], job["context"]["tasks"]) == ("FAILED", {"south": "the south answers"})


@pytest.mark.parametrize(
    ("example", "result"),
    [("files.yaml", "6"), ("steps.yaml", "apple\npear\nplum\n"), ("retry.yaml", None)],
)
def test_task_example_has_the_documented_result(
    installation: Installation, example: str, result: str | None
) -> None:
    task = installation.run_task(yaml.safe_load((EXAMPLES / example).read_text()), within_s=120)

    assert task["state"] == "COMPLETED", task
    assert result in (None, task["result"])


def test_schedule_example_is_accepted(installation: Installation) -> None:
    text = (EXAMPLES / "scheduled" / "nightly.yaml").read_text()
    schedule = installation.post("/scheduled-jobs", yaml.safe_load(text))
    assert (schedule["cron"], schedule["state"]) == ("30 2 * * *", "ACTIVE")
    requests.delete(f"{installation.url}/scheduled-jobs/{schedule['id']}", timeout=10).raise_for_status()


def test_convert_example_uploads_five_playable_seconds(
    installation: Installation, server: Container, tmp_path: Path
) -> None:
    source = tmp_path / "source.ogv"
    _ffmpeg("-f", "lavfi", "-i", "testsrc=duration=8:size=320x240:rate=10", "-c:v", "libtheora", str(source))
    _copy_to(server, source, "/www/video.ogv")
    address = _address(server)
    text = (EXAMPLES / "convert.yaml").read_text()
    text = re.sub(rf"{SOURCE_HOST}\S+?\.ogv", f"http://{address}/video.ogv", text)
    text = text.replace(f"{TARGET_HOST}/dev/null", f"http://{address}/cgi-bin/take")
    assert "https://" not in text

    task = installation.run_task(yaml.safe_load(text), within_s=120)

    assert task["state"] == "COMPLETED", task.get("error")
    received = tmp_path / "received.mp4"
    received.write_bytes(_copy_from(server, "/www/received.mp4"))
    assert _duration_s(received) == pytest.approx(5.0, abs=0.2)


def _address(server: Container) -> str:
    command = ["wget", "-q", "-O", "/dev/null", "http://127.0.0.1/cgi-bin/take"]
    eventually(lambda: server.exec_run(command).exit_code == 0, explain=lambda: str(server.logs()))
    server.reload()
    return str(server.attrs["NetworkSettings"]["IPAddress"])


def _ffmpeg(*arguments: str) -> str:
    completed = subprocess.run(
        [get_ffmpeg_exe(), "-y", "-hide_banner", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return completed.stderr


def _duration_s(video: Path) -> float:
    """Return the playing time of a video, which is decoded to its end."""
    output = _ffmpeg("-i", str(video), "-f", "null", "-")
    hours, minutes, seconds = re.findall(r"time=(\d+):(\d+):([\d.]+)", output)[-1]
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)


def _copy_to(server: Container, source: Path, target: str) -> None:
    with subprocess.Popen(["tar", "-C", source.parent, "-c", source.name], stdout=subprocess.PIPE) as tar:
        assert tar.stdout is not None
        server.put_archive(Path(target).parent.as_posix(), tar.stdout.read())
    server.exec_run(["mv", f"{Path(target).parent}/{source.name}", target])


def _copy_from(server: Container, path: str) -> bytes:
    code, contents = server.exec_run(["cat", path])
    assert code == 0
    assert isinstance(contents, bytes)
    return contents
