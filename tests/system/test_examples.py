"""The example jobs, run as they stand."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
import requests
import yaml
from imageio_ffmpeg import get_ffmpeg_exe

from tests.eventually import eventually
from tests.system.installation import Installation

EXAMPLES = Path(__file__).parents[2] / "examples"
FETCHED, TAKEN = "https://upload.wikimedia.org", "https://devnull-as-a-service.com"

# busybox httpd serves what is in /www; a POST goes to a CGI script, which keeps the body
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
def server(engine: docker.DockerClient) -> Iterator[docker.models.containers.Container]:
    """A web server in a container of its own, in the place of the two public hosts."""
    container = engine.containers.run("busybox:stable", ["sh", "-c", SERVER], detach=True, init=True)
    try:
        yield container
    finally:
        container.remove(force=True, v=True)


def test_hello(installation: Installation) -> None:
    ran = subprocess.run(
        [Path(sys.executable).parent / "tork-celery", "run", EXAMPLES / "hello.yaml"],
        env={**installation.environment, "TORK_URL": installation.url},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert ran.stdout.strip() == "hello world"


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
        ("expressions.yaml", "hello Ada and Grace", ["logged in by [REDACTED]"]),
    ],
)
def test_what_an_example_says_of_itself(
    installation: Installation, example: str, result: str | None, logged: list[str]
) -> None:
    text = (EXAMPLES / example).read_text()
    posted = installation.post("/jobs", yaml.safe_load(text))

    job = installation.ended_job(posted["id"])

    assert (job["state"], job.get("result")) == ("COMPLETED", result), job.get("error")
    log = installation.log_of(f"/jobs/{job['id']}")
    assert [line for line in logged if line not in log] == []
    for secret in yaml.safe_load(text).get("secrets", {}).values():
        assert secret not in log + str(job)


@pytest.mark.parametrize(
    ("example", "result"),
    [("files.yaml", "6"), ("steps.yaml", "apple\npear\nplum\n"), ("retry.yaml", None)],
)
def test_what_an_example_of_a_task_says_of_itself(
    installation: Installation, example: str, result: str | None
) -> None:
    task = installation.run_task(yaml.safe_load((EXAMPLES / example).read_text()), within_s=120)

    assert task["state"] == "COMPLETED", task
    assert result in (None, task["result"])


def test_a_schedule_is_taken_and_shown(installation: Installation) -> None:
    text = (EXAMPLES / "scheduled" / "nightly.yaml").read_text()
    made = installation.post("/scheduled-jobs", yaml.safe_load(text))
    assert (made["cron"], made["state"]) == ("30 2 * * *", "ACTIVE")
    requests.delete(f"{installation.url}/scheduled-jobs/{made['id']}", timeout=10).raise_for_status()


def test_convert_sends_five_playable_seconds(
    installation: Installation, server: docker.models.containers.Container, tmp_path: Path
) -> None:
    source = tmp_path / "source.ogv"
    _ffmpeg("-f", "lavfi", "-i", "testsrc=duration=8:size=320x240:rate=10", "-c:v", "libtheora", str(source))
    _put(server, source, "/www/video.ogv")
    address = _address(server)
    text = (EXAMPLES / "convert.yaml").read_text()
    text = re.sub(rf"{FETCHED}\S+?\.ogv", f"http://{address}/video.ogv", text)
    text = text.replace(f"{TAKEN}/dev/null", f"http://{address}/cgi-bin/take")
    assert "https://" not in text

    task = installation.run_task(yaml.safe_load(text), within_s=120)

    assert task["state"] == "COMPLETED", task.get("error")
    received = tmp_path / "received.mp4"
    received.write_bytes(_get(server, "/www/received.mp4"))
    assert _seconds(received) == pytest.approx(5.0, abs=0.2)


def _address(server: docker.models.containers.Container) -> str:
    asked = ["wget", "-q", "-O", "/dev/null", "http://127.0.0.1/cgi-bin/take"]
    eventually(lambda: server.exec_run(asked).exit_code == 0, explain=lambda: str(server.logs()))
    server.reload()
    return str(server.attrs["NetworkSettings"]["IPAddress"])


def _ffmpeg(*arguments: str) -> str:
    ran = subprocess.run(
        [get_ffmpeg_exe(), "-y", "-hide_banner", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return ran.stderr


def _seconds(video: Path) -> float:
    """How long a video plays: it is decoded to its end."""
    said = _ffmpeg("-i", str(video), "-f", "null", "-")
    hours, minutes, seconds = re.findall(r"time=(\d+):(\d+):([\d.]+)", said)[-1]
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)


def _put(server: docker.models.containers.Container, source: Path, target: str) -> None:
    with subprocess.Popen(["tar", "-C", source.parent, "-c", source.name], stdout=subprocess.PIPE) as tar:
        assert tar.stdout is not None
        server.put_archive(Path(target).parent.as_posix(), tar.stdout.read())
    server.exec_run(["mv", f"{Path(target).parent}/{source.name}", target])


def _get(server: docker.models.containers.Container, path: str) -> bytes:
    code, contents = server.exec_run(["cat", path])
    assert code == 0
    return bytes(contents)
