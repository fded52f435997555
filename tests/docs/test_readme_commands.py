"""The README's commands, as they are printed, against a real installation."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from tests.docs.documents import ROOT, blocks
from tests.system.installation import Installation, running_installation

PRINTED = [
    line for block in blocks(ROOT / "README.md") if block.info == "sh" for line in block.text.splitlines()
]
JQ = """#!{python}
import json, sys
assert sys.argv[1:] == ["-r", ".id"], sys.argv
print(json.load(sys.stdin)["id"])
"""


@pytest.fixture(scope="module")
def installation(
    engine: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    del engine  # it is there, with the images that the examples name
    with running_installation(tmp_path_factory.mktemp("tork") / "data", "--queue", "default:2") as running:
        yield running


@pytest.fixture
def path(tmp_path: Path) -> str:
    """PATH with this environment's commands first, and with a jq for the README's line if there is none."""
    if shutil.which("jq") is None:
        shim = tmp_path / "jq"
        shim.write_text(JQ.format(python=sys.executable))
        shim.chmod(0o755)
    return os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"], str(tmp_path)])


def printed(beginning: str) -> str:
    """The one line of the README that begins so."""
    (line,) = [line for line in PRINTED if line.startswith(beginning)]
    return line


def run(line: str, installation: Installation, *, path: str, folder: Path, **variables: str) -> str:
    """Run a line in a shell; what it prints."""
    address = installation.url.removeprefix("http://")
    done = subprocess.run(
        ["sh", "-c", line.replace("localhost:3000", address)],
        cwd=folder,
        env={**os.environ, "PATH": path, **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_curl_lines_submit_the_task_and_show_its_result(installation: Installation, path: str) -> None:
    examples = ROOT / "examples"
    submit = printed("curl -s -X POST --data-binary @hello.yaml")
    show = printed("curl -s http://localhost:3000/task/$TASK_ID")
    task_id = run(submit, installation, path=path, folder=examples).strip()
    installation.wait_for_task(task_id)
    shown = run(show, installation, path=path, folder=examples, TASK_ID=task_id)
    _, _, comment = show.partition("# ")
    for field in comment.split(", "):
        assert field.replace(": ", ":") in shown


def test_the_run_line_prints_the_result(installation: Installation, path: str) -> None:
    line = printed("tork-celery run")
    out = run(line, installation, path=path, folder=ROOT, TORK_URL=installation.url)
    assert out == "hello world\n"


@pytest.mark.parametrize(
    ("example", "result"),
    [("files.yaml", "6\n"), ("steps.yaml", "apple\npear\nplum\n"), ("job.yaml", "")],
)
def test_the_other_examples_complete(
    installation: Installation, path: str, example: str, result: str
) -> None:
    line = f"tork-celery run examples/{example}"
    assert run(line, installation, path=path, folder=ROOT, TORK_URL=installation.url) == result
